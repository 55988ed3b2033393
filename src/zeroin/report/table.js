"use strict";
// The table of trials: sorted by the column whose heading is pressed, the first of them shown or all.
(function () {
  const table = document.getElementById("table");
  const more = document.getElementById("more");
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const body = table.tBodies[0];
  const few = body.rows.length;
  const best = body.querySelector(".best > th")?.textContent;
  const heads = [...table.tHead.rows[0].cells];
  const columns = heads.map((head) => ({ name: head.textContent, look: head.className }));
  const collator = new Intl.Collator("en", { numeric: true });
  let shown = rows;

  function compare(a, b) {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
  }

  function row(cells) {
    const tr = document.createElement("tr");
    if (cells[0] === best) tr.className = "best";
    cells.forEach((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      cell.className = columns[i].look;
      if (columns[i].look !== "text") cell.dataset.name = columns[i].name;
      cell.textContent = text;
      tr.append(cell);
    });
    return tr;
  }

  function show() {
    const all = more.getAttribute("aria-expanded") === "true";
    body.replaceChildren(...shown.slice(0, all ? rows.length : few).map(row));
  }

  function sort(i) {
    const up = heads[i].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[i].setAttribute("aria-sort", up ? "ascending" : "descending");
    const [known, unknown] = [rows.filter((r) => r[i] !== "–"), rows.filter((r) => r[i] === "–")];
    known.sort((a, b) => (up ? 1 : -1) * compare(a[i], b[i]));
    shown = [...known, ...unknown];
    show();
  }

  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(i));
    head.append(button);
  });
  more.hidden = rows.length <= few;
  more.addEventListener("click", () => {
    const all = more.getAttribute("aria-expanded") !== "true";
    more.setAttribute("aria-expanded", all);
    show();
  });
})();
