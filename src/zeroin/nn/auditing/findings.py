"""What an audit says: findings with evidence and remedy."""

from dataclasses import dataclass

from zeroin.nn.auditing.measure import Level

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend.

    Args:
        rule: its short name.
        severity: "error": training or evaluation goes wrong; "warning": it costs quality or robustness; "note".
        where: layer, or what it concerns.
        evidence: measured on this network.
        remedy: what to paste.
    """

    rule: str
    severity: str
    where: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.rule} ({self.where})\n  {self.evidence}\n  mend: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Audit:
    """Findings, the gravest first and causes before what follows from them; what was checked, and what could not be.

    Args:
        findings: what to mend.
        checked: rules that were looked at.
        skipped: rules that were not, with the reason.
        levels: what each activation takes at the beginning (or as the network is).
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
        """How z, what each activation takes, is distributed: a line for each layer, from -4 to 4."""
        if not self.levels:
            return ""
        wide = max(len(level.name) for level in self.levels)
        slopes = dict(self.gradients)
        lines = [f"{'z of layer':{wide}}  -4{' ' * 20}4   mean  deviation  between examples  gradient  dead"]
        for level in self.levels:
            slope = f"{slopes[level.name]:9.1e}" if level.name in slopes else " " * 9
            dead = "" if level.dead is None else f"{100 * level.dead:4.0f}%"
            lines.append(
                f"{level.name:{max(wide, 10)}}  {level.picture} {level.mean:6.2g} {level.deviation:10.2g} "
                f"{level.spread:17.2g} {slope} {dead}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        words = [str(f) for f in self.findings] or ["nothing to mend"]
        words.append("checked: " + ", ".join(self.checked))
        if self.skipped:
            words.append("not checked: " + "; ".join(f"{rule} ({why})" for rule, why in self.skipped))
        return "\n".join(words)
