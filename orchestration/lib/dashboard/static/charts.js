// Charts: one look for all, drawn one after the other, again when the theme or a choice changes.

const SERIES_COLOURS = 8;
const waiting = new Map();

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }

function theme(width) {
  const columns = Math.max(1, Math.min(4, Math.floor(width / 160)));
  const soft = colour("soft"), line = colour("line"), ink = colour("ink");
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: null, font, customFormatTypes: true, aria: false, padding: { left: 0, right: 6, top: 6, bottom: 6 },
    view: { stroke: null },
    axis: {
      labelColor: soft, titleColor: soft, domain: false, ticks: false, grid: false, labelFontSize: 12, labelPadding: 8,
      titleFontWeight: "normal", titleFontSize: 12,
    },
    axisY: { grid: true, gridColor: line, gridWidth: 1, tickCount: 4, titleAngle: 0, titleAlign: "left", titleAnchor: "end" },
    axisX: { domain: true, domainColor: line, labelOverlap: true, labelFlush: true },
    legend: {
      orient: "bottom", direction: "horizontal", columns, title: null, labelColor: ink,
      labelFontSize: 12, labelLimit: Math.min(220, Math.floor(width / columns) - 50), symbolType: "stroke", symbolStrokeWidth: 3, offset: 8, rowPadding: 4, columnPadding: 16,
    },
    line: { strokeWidth: 2, strokeCap: "round", strokeJoin: "round" },
    range: { category: Array.from({ length: SERIES_COLOURS }, (_, n) => colour("c" + (n + 1))) },
  };
}

// Registers a drawing for an element; `make` returns a Vega-Lite specification. Drawn are those nearest to what is read
// first, one after the other, so that the page stays quick to the hand.
function drawLater(element, make) {
  waiting.set(element, make);
  if (waiting.size === 1) setTimeout(drawNext);
}

function drawNext() {
  if (!window.vegaEmbed || !waiting.size) return;
  const away = (element) => { const box = element.getBoundingClientRect(); return Math.max(0, box.top - window.innerHeight, -box.bottom); };
  const [nearest] = [...waiting.keys()].map((element) => [element, away(element)]).reduce((best, one) => (one[1] < best[1] ? one : best));
  drawNow(nearest).then(() => setTimeout(drawNext));
}

function forgetDrawings() {
  for (const view of views.splice(0)) view.finalize();
  waiting.clear();
  hideTip();
}

const views = [];
function drawNow(element) {
  const make = waiting.get(element);
  if (!make || !window.vegaEmbed) return Promise.resolve();
  waiting.delete(element);
  const functions = { cxValue: (value, unit) => inUnit(value, unit, true), cxAt: (at, grain) => tick(grain, Math.round(at)) };
  // `ast`: expressions are interpreted, so that the page needs no right to make code of text.
  return window.vegaEmbed(element, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", ...make() }, {
    mode: "vega-lite", actions: false, renderer: "svg", ast: true, defaultStyle: false, config: theme(element.clientWidth), expressionFunctions: functions,
    tooltip: (handler, event, item, value) => (value === null || value === undefined || value === "" ? hideTip() : showTip(event, String(value))),
  }).then((result) => {
    if (!element.isConnected) { result.view.finalize(); return; }
    views.push(result.view);
    // the plot has a name, and a table beside it: what is in the drawing is for eyes
    for (const drawing of element.querySelectorAll("svg")) drawing.setAttribute("aria-hidden", "true");
    element.dataset.drawn = "yes";
  }).catch((error) => { element.textContent = t("chart.failed"); console.error(error); });
}

function drawAll() { return Promise.all([...waiting.keys()].map(drawNow)); }

function tick(grain, at) {
  const start = CALENDAR[grain][at];
  return start ? (grain === "M" ? shortMonth(start) : shortDay(start)) : "";
}

// One tooltip for the page: charts, figures, cells of tables.
let tip = null;
function showTip(event, text) {
  if (!tip) document.body.append(tip = h("div.tip", { role: "tooltip", id: "tip" }));
  tip.textContent = text;
  tip.hidden = false;
  const box = event.clientX === undefined || event.clientX === 0 ? event.target.getBoundingClientRect() : null;
  const x = box ? box.left : event.clientX, y = box ? box.bottom : event.clientY;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  tip.style.left = Math.max(8, Math.min(x + 14, window.innerWidth - width - 8)) + "px";
  tip.style.top = (y + 18 + height > window.innerHeight ? Math.max(8, y - height - 12) : y + 18) + "px";
}
function hideTip() { if (tip) tip.hidden = true; }
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

// Gives an element the tooltip on pointer and focus; `describe` is called when it is wanted.
function tipped(element, describe) {
  element.addEventListener("pointermove", (event) => showTip(event, describe()));
  element.addEventListener("pointerleave", hideTip);
  element.addEventListener("focus", (event) => showTip(event, describe()));
  element.addEventListener("blur", hideTip);
  return element;
}

// What a number says of itself: value, interval, parts, n, whether it is final.
function describe(told, name) {
  const { definition } = told, unit = definition.unit, lines = [];
  lines.push(name || label(told.metric), periodName(told.period) + (told.span ? " · " + spanName(told) : ""), inUnit(told.value, unit));
  if (told.low !== null && told.low !== undefined) lines.push(t("interval", { low: inUnit(told.low, unit), high: inUnit(told.high, unit) }));
  if (told.numerator !== null) {
    lines.push(`${definition.parts[0]}: ${precise(told.numerator)}`);
    if (told.denominator !== null) lines.push(`${definition.denominator.join(" + ") || t("denominator")}: ${precise(told.denominator)}`);
  }
  if (told.n !== null) lines.push(t("n", { n: number(told.n) }));
  if (told.isSmall) lines.push(t("small", { n: definition.min_n }));
  if (!told.isFinal) lines.push(t("provisional.until", { day: day(told.finalOn) }));
  if (told.isStale) lines.push(t("stale.since", { day: day(definition.data_through) }));
  return lines.join("\n");
}

function spanName(told) {
  if (told.span === "last") return t("last.of.period");
  const trailing = /^trailing_(\d+)d$/.exec(told.span);
  return trailing ? t("trailing", { days: trailing[1] }) : t("on.last.day");
}

// Ticks of durations at whole minutes, hours or days.
function timeTicks(unit, values) {
  if (unit !== "minutes" && unit !== "seconds") return {};
  const size = unit === "minutes" ? 60 : 1, all = values.flatMap((one) => [one.value, one.low, one.high]).filter((one) => one !== null && one !== undefined);
  const low = Math.min(...all) * size, high = Math.max(...all) * size;
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000].find((one) => (high - low) / one <= 4.5) || 2592000;
  const ticks = [];
  for (let at = Math.floor(low / step) * step; at <= high + step && ticks.length < 8; at += step) ticks.push(at / size);
  return { values: ticks };
}

// A name has one colour on the whole page, unless another line of the same chart has it already.
const coloured = new Map();
function coloursOf(names) {
  const taken = new Set();
  return names.map((name) => {
    if (!coloured.has(name)) coloured.set(name, coloured.size % SERIES_COLOURS);
    let n = coloured.get(name);
    for (let tried = 0; taken.has(n) && tried < SERIES_COLOURS; tried++) n = (n + 1) % SERIES_COLOURS;
    taken.add(n);
    return colour("c" + (n + 1));
  });
}

// Lines over months or weeks. `lines`: [{name, metric, series}]; the band is drawn where there is one line.
function trendSpec(lines, asked, height) {
  const grain = lines[0].series.g, unit = DATA.metrics[lines[0].metric].unit, values = [], names = [];
  let low = Infinity, high = -Infinity;
  for (const { name, metric, series } of lines) {
    names.push(name);
    const told = points(metric, series);
    let stretch = 0, band = 0; // a line ends where nothing is known or it looks another way, and another one begins
    told.forEach((one, n) => {
      const before = n > 0 && told[n - 1].at === one.at - 1 ? told[n - 1] : null, isFollowed = n + 1 < told.length && told[n + 1].at === one.at + 1;
      low = Math.min(low, one.at);
      high = Math.max(high, one.at);
      // a small sample has no band, and the one beside it ends there
      if (!before || one.isSmall) band += 1;
      const part = one.isFinal ? "final" : "open", isPale = one.isSmall || Boolean(before?.isSmall), last = values.at(-1);
      const row = { band, part, isPale, at: one.at, value: one.value, low: one.isSmall ? null : one.low, high: one.isSmall ? null : one.high, series: name, tip: describe(one, lines.length > 1 ? `${label(metric)} · ${name}` : null) };
      const isAnother = !before || last.part !== part || last.isPale !== isPale;
      if (isAnother) stretch += 1;
      // dashes, and what is pale, begin where the last point is
      if (before && isAnother) values.push({ ...row, stretch, at: before.at, value: before.value, low: null, high: null, tip: describe(before), isPoint: false });
      values.push({ ...row, stretch, isPoint: !one.isFinal || (!before && !isFollowed) });
    });
  }
  if (!values.length) return null;
  const single = lines.length === 1, every = Math.max(1, Math.ceil((high - low + 1) / (window.innerWidth < 700 ? 4 : 6))), ticks = [];
  for (let n = low; n <= high; n += every) ticks.push(n);
  const x = {
    field: "at", type: "quantitative", scale: { domain: [low, Math.max(high, low + 1)], nice: false, zero: false },
    axis: { values: ticks, formatType: "cxAt", format: grain, title: null },
  };
  const y = { field: "value", type: "quantitative", scale: { zero: ["count", "currency"].includes(unit), nice: true }, axis: { formatType: "cxValue", format: unit, title: null, ...timeTicks(unit, values) } };
  const layer = [];
  if (asked.grain === grain && asked.to >= low && asked.from <= high) {
    layer.push({ data: { values: [{ a: Math.max(low, asked.from - 0.5), b: Math.min(Math.max(high, low + 1), asked.to + 0.5) }] }, mark: { type: "rect", color: colour("accent"), opacity: 0.07 }, encoding: { x: { ...x, field: "a" }, x2: { field: "b" } } });
  }
  if (single && values.some((one) => one.low !== null && one.low !== undefined)) {
    layer.push({ transform: [{ filter: "isValid(datum.low)" }], mark: { type: "area", color: colour("c1"), opacity: 0.13, interpolate: "linear" }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, detail: { field: "band" } } });
  }
  const held = single && !state.filter ? heldAgainst(lines[0].metric, asked) : {};
  if (held.target) {
    layer.push({ data: { values: [{ value: held.target.value }] }, mark: { type: "rule", color: colour("soft"), strokeDash: [2, 3] }, encoding: { y } });
    layer.push({ data: { values: [{ value: held.target.value, text: t("target") }] }, mark: { type: "text", color: colour("soft"), align: "right", baseline: "bottom", dy: -3, fontSize: 11, x: "width" }, encoding: { y, text: { field: "text" } } });
  }
  const paint = single ? { value: colour("c1") } : { field: "series", type: "nominal", sort: names, scale: { domain: names, range: coloursOf(names) }, legend: {} };
  const shade = { condition: { test: "datum.isPale", value: 0.35 }, value: 1 };
  layer.push({
    mark: { type: "line", interpolate: "linear" },
    encoding: { x, y, color: paint, detail: [{ field: "series" }, { field: "stretch" }], strokeOpacity: shade, strokeDash: { field: "part", type: "nominal", scale: { domain: ["final", "open"], range: [[1, 0], [3, 4]] }, legend: null } },
  });
  if (values.some((one) => one.isPoint)) layer.push({ transform: [{ filter: "datum.isPoint" }], mark: { type: "point", filled: true, size: 36, fill: colour("card"), strokeWidth: 1.6 }, encoding: { x, y, stroke: paint, strokeOpacity: shade } });
  layer.push({ mark: { type: "point", size: 260, opacity: 0, filled: true }, encoding: { x, y, tooltip: { field: "tip" } } });
  return { width: "container", height: height || 200, autosize: { type: "fit-x", contains: "padding" }, data: { values }, layer };
}

// A chart with its name for those who hear it, and the same numbers as a table.
function figure(name, summary, make, table) {
  const plot = h("div.plot", { role: "img", "aria-label": summary ? `${name}. ${summary}` : name });
  drawLater(plot, make);
  return h("figure.chart", null, plot, asTable(table, name));
}

// A table that is made when somebody opens it: {head: [text], rows: [[cell]]}.
function asTable(make, name) {
  const details = h("details.astable", null, h("summary", { "aria-label": `${t("table")}: ${name}` }, t("table")));
  details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(plainTable(make())); });
  return details;
}

function plainTable({ head, rows, caption }) {
  const isNumber = head.map((_, n) => rows.length > 0 && rows.every((row) => row[n] === null || row[n] === undefined || row[n] instanceof Number || typeof row[n] === "number" || row[n]?.isNumber));
  const cell = (value, n) => {
    const told = value?.isNumber ? value.text : typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : 2) : value;
    const td = h(n === 0 ? "th" : "td", { scope: n === 0 ? "row" : null, class: (isNumber[n] ? "n " : "") + (value?.class || "") });
    if (told instanceof Node) td.append(told); else if (told !== null && told !== undefined) td.append(bdi(String(told)));
    return td;
  };
  return h("div.wide", { tabindex: "0", role: "region", "aria-label": caption || head[0] || t("table") }, h("table", null, caption ? h("caption", null, caption) : null,
    h("thead", null, h("tr", null, head.map((text, n) => h("th", { scope: "col", class: isNumber[n] ? "n" : null }, text)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map(cell))))));
}

// A cell that holds a number already written in its unit.
function num(text, className) { return { isNumber: true, text, class: className }; }

function trendTable(lines) {
  const rows = [];
  for (const { name, metric, series } of lines) {
    const unit = DATA.metrics[metric].unit;
    for (const one of points(metric, series)) {
      rows.push([periodName(one.period), name, num(inUnit(one.value, unit)), num(one.low === null || one.low === undefined ? "" : `${inUnit(one.low, unit)} – ${inUnit(one.high, unit)}`),
        num(precise(one.numerator)), num(one.denominator === null ? "" : precise(one.denominator)), one.isFinal ? t("final") : t("provisional")]);
    }
  }
  return { head: [t("period"), t("what"), t("value"), t("interval.95"), t("numerator"), t("denominator"), t("state")], rows };
}
