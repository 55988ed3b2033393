"""The README's picture from a report: `python docs/picture.py zeroin.files/digits/report.html docs/report.png`."""

import subprocess
import sys
import tempfile
from pathlib import Path

STYLE = """<style>
main { padding-top: 18px; padding-bottom: 18px } main > * { display: none }
header { display: block !important } nav { display: none }
#best { display: grid !important } #best pre { display: none }
.legend { display: flex !important; margin-top: 18px }
.grid:not(.wide) { display: grid !important; grid-template-columns: repeat(3, 1fr) }
.grid figure:nth-child(n+4) { display: none }
</style></head>"""  # the best config and the first three hyperparameters, the rest of the page hidden


def main(report: Path, picture: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(report.read_text(encoding="utf-8").replace("</head>", STYLE, 1), encoding="utf-8")
        options = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=8000"]
        size = ["--force-device-scale-factor=1.4", "--window-size=1180,960"]
        command = ["chromium", "--headless", *options, *size, f"--screenshot={picture.resolve()}", page.as_uri()]
        subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
