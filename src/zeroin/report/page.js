"use strict";
// Draws one picture. Each is drawn by a script element of its own: the page stays alive between them, and whoever waits
// for it to load (a printer, a screenshot) finds all of them.
const draw = (function () {
  const { figures, texts } = JSON.parse(document.getElementById("figures").textContent);
  const themes = {
    light: { ink: "#444", line: "#b5b5b5", card: "#ffffff", text: "#222" },
    dark: { ink: "#c9c9c9", line: "#5a5a5a", card: "#26282d", text: "#eee" },
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];
  let printing = false;

  function look(theme) {
    return {
      "font.color": theme.ink,
      "hoverlabel.bgcolor": theme.card,
      "hoverlabel.bordercolor": theme.line,
      "hoverlabel.font.color": theme.text,
    };
  }

  function screen() {
    printing = false;
    const theme = dark.matches ? themes.dark : themes.light;
    for (const div of drawn) Plotly.relayout(div, { ...look(theme), width: null, autosize: true });
  }

  function paper() {
    printing = true;
    // Widths of the cards under `@media print`: a sheet is narrower than a window.
    for (const div of drawn) Plotly.relayout(div, { ...look(themes.light), width: div.closest(".wide") ? 640 : 322 });
  }

  const width = new ResizeObserver((seen) => {
    for (const { target } of seen) if (!printing) Plotly.relayout(target, { autosize: true });
  });

  dark.addEventListener("change", screen);
  window.addEventListener("beforeprint", paper);
  window.addEventListener("afterprint", screen);

  return async function (name) {
    const div = document.getElementById(name);
    const { data, layout } = figures[name];
    for (const trace of data) if (trace.text) trace.text = trace.text.map((i) => texts[i]);
    await Plotly.newPlot(div, data, layout, { displayModeBar: false });
    await Plotly.relayout(div, look(dark.matches ? themes.dark : themes.light));
    div.classList.add("drawn");
    drawn.push(div);
    width.observe(div);
    document.documentElement.dataset.drawn = drawn.length;
  };
})();
