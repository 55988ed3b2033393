"""The result of an audit: findings, each with evidence and remedy."""

from dataclasses import dataclass

from zeroin.nn.auditing.measure import Level
from zeroin.wording import percent

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should be fixed.

    Args:
        rule: that found it.
        severity: "error": training or evaluation goes wrong; "warning": it costs quality or robustness; or "note".
        where: the layer, or what else it is about.
        evidence: what was measured on this network.
        remedy: code to paste.
    """

    rule: str
    severity: str
    where: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.rule} ({self.where})\n  {self.evidence}\n  fix: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit; `str` puts it into words.

    Args:
        findings: the gravest first, causes before their consequences.
        checked: the rules that were checked.
        skipped: the rules that could not be checked, each with the reason.
        levels: the inputs of each activation, in the new network (or in the network as it is).
        gradients: (layer, root mean square of the gradient of its weights).
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    levels: tuple[Level, ...]
    gradients: tuple[tuple[str, float], ...]

    @property
    def worst(self) -> str | None:
        """The gravest severity; None for a sound network."""
        return min((f.severity for f in self.findings), key=SEVERITIES.index, default=None)

    def picture(self) -> str:
        """The distribution of z, the input of each activation, as text: one line for each layer, from -4 to 4."""
        if not self.levels:
            return ""
        wide = max(len(level.name) for level in self.levels)
        slopes = dict(self.gradients)
        lines = [f"{'z of layer':{wide}}  -4{' ' * 20}4   mean  deviation  between examples  gradient  dead"]
        for level in self.levels:
            slope = f"{slopes[level.name]:9.1e}" if level.name in slopes else " " * 9
            dead = "" if level.dead is None else f"{percent(level.dead):>6}"
            lines.append(
                f"{level.name:{max(wide, 10)}}  {level.picture} {level.mean:6.2g} {level.deviation:10.2g} "
                f"{level.spread:17.2g} {slope} {dead}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        words = [str(f) for f in self.findings] or ["nothing to fix"]
        words.append("checked: " + ", ".join(self.checked))
        if self.skipped:
            words.append("not checked: " + "; ".join(f"{rule} ({why})" for rule, why in self.skipped))
        return "\n".join(words)
