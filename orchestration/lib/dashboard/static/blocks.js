// What a page is made of: one function a kind of block. Each takes the block and returns elements.

const BLOCKS = {};
const LINES = 6;

// A metric that is off, or has no data yet, says so where it would stand.
function absence(metric) {
  const one = DATA.metrics[metric];
  if (!one) return t("unknown.metric", { metric });
  if (!one.is_on) return t("off.because", { feeds: (one.why_off || "").replace(/^needs /, "").replace(/ in cx\.toml$/, "").replaceAll(" and ", ", ").replaceAll(" or ", " / ") || one.feeds.join(", ") });
  return t("nothing.yet");
}

function nameOf(pick, one) {
  const { word } = asPick(pick), rest = one ? apart(one).filter(([name]) => !(asPick(pick).where && name in asPick(pick).where)) : [];
  return [word ? t(word) : null, ...rest.map(([key, value]) => apartName(key, value))].filter(Boolean).join(" · ");
}

function definitionButton(metric, told) {
  return h("button.define", { type: "button", "aria-haspopup": "dialog", onclick: () => openDefinition(metric, told) }, label(metric));
}

// Whether anything was ever observed of a metric: without, that its feed is late is not what to know.
function isObserved(metric) { return seriesOf(metric).length > 0; }

function changeLine(told) {
  const before = earlierOf(told), unit = told.definition.unit;
  if (before === null || before === undefined || told.value === null) {
    return h("p.change.none", null, CALENDAR.isComplete(told.period.grain, told.period.to) ? t("no.comparison") : t("not.over"));
  }
  const difference = told.value - before;
  const relative = ["currency", "count", "minutes", "seconds", "price"].includes(unit) && before > 0 ? percentChange(told.value, before) : differenceInUnit(difference, unit);
  // a difference that rounds to nothing is neither good nor bad
  const isNothing = !/[1-9]/.test(relative), good = isNothing ? null : isGood(told.metric, difference);
  const arrow = isNothing ? "=" : difference > 0 ? "▲" : difference < 0 ? "▼" : "=";
  return h("p.change." + (good === null ? "neutral" : good ? "good" : "bad"), { "data-metric": told.metric, "data-before": before },
    h("span", { "aria-hidden": "true" }, arrow + " "), h("span.visually-hidden", null, good === null ? "" : t(good ? "better" : "worse") + " "),
    h("strong", null, relative), h("span.soft", null, " " + t(state.against === "year" ? "was.year" : "was", { value: inUnit(before, unit) })));
}

function lateFlag(metric) { return h("span.flag.stale", null, t("stale.since", { day: day(DATA.metrics[metric].data_through) })); }

function flags(told) {
  const found = [];
  if (!told.isFinal) found.push(h("span.flag.provisional", null, t("provisional.until", { day: day(told.finalOn) })));
  if (told.isSmall) found.push(h("span.flag.small", null, t("small.n", { n: number(told.n) })));
  if (told.isStale) found.push(lateFlag(told.metric));
  if (told.span) found.push(h("span.flag", null, spanName(told)));
  return found;
}

function heldLine(told) {
  const held = heldAgainst(told.metric, told.period), unit = told.definition.unit, found = [];
  if (held.target) {
    const good = told.value === null ? null : isGood(told.metric, told.value - held.target.value), met = told.value === held.target.value || good;
    found.push(h("span." + (good === null && told.value !== held.target.value ? "neutral" : met ? "good" : "bad"), null,
      t(told.definition.direction === "none" ? "target.of" : met ? "target.met" : "target.missed", { value: inUnit(held.target.value, unit) })));
  }
  if (held.industry) found.push(h("span.soft", { title: held.industry.source }, `${held.industry.industry === "unknown" ? t("others") : held.industry.industry}: ${inUnit(held.industry.value, unit)}`));
  return found.length ? h("p.held", null, found) : null;
}

// A small line of the last two years or so, without axes: the shape only, its numbers are in the trends and in the dialog.
function sparkline(metric, one, asked) {
  const told = points(metric, one).slice(one.g === "M" ? -24 : -52);
  if (told.length < 3) return null;
  const values = told.map((p) => p.value), low = Math.min(...values), high = Math.max(...values), W = 200, H = 34;
  const x = (p) => ((p.at - told[0].at) / (told.at(-1).at - told[0].at)) * (W - 8) + 4, y = (v) => (high === low ? H / 2 : H - 5 - ((v - low) / (high - low)) * (H - 10));
  const path = (list) => list.map((p, m) => `${m && list[m - 1].at === p.at - 1 ? "L" : "M"}${x(p).toFixed(1)} ${y(p.value).toFixed(1)}`).join("");
  const firstOpen = told.findIndex((p) => !p.isFinal);
  const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "spark", "aria-hidden": "true", preserveAspectRatio: "none", focusable: "false" });
  drawing.append(svg("path", { d: path(firstOpen < 0 ? told : told.slice(0, firstOpen)), class: "line" }));
  if (firstOpen >= 0) drawing.append(svg("path", { d: path(told.slice(Math.max(0, firstOpen - 1))), class: "line open" }));
  const now = told.findIndex((p) => asked.grain === one.g && p.at === asked.to);
  if (now >= 0) drawing.append(svg("path", { d: `M${x(told[now]).toFixed(1)} ${y(told[now].value).toFixed(1)}l0 0`, class: "dot" }));
  return drawing;
}

// A tile for each variant of a pick that asks for all of them, else for the one with most behind it.
function tiles(pick) {
  const spec = asPick(pick), asked = period(), list = spec.each && DATA.metrics[spec.metric] ? variants(pick, asked.grain, state.filter) : [];
  const told = list.filter((one) => (valueOf(spec.metric, one, asked)?.value ?? null) !== null);
  return told.length > 1 ? told.slice(0, 12).map((one) => tile(pick, one)) : tile(pick, told[0]);
}

function tile(pick, only) {
  const { metric } = asPick(pick), asked = period(), list = only ? [only] : DATA.metrics[metric] ? variants(pick, asked.grain, state.filter) : [];
  const box = h("div.tile", { "data-metric": metric });
  const told = list.length ? valueOf(metric, list[0], asked) : null;
  box.append(h("h3", null, DATA.metrics[metric] ? definitionButton(metric, told) : metric));
  const name = list.length ? nameOf(pick, list[0]) : nameOf(pick);
  if (name) box.append(h("p.variant", null, bdi(name)));
  if (!told || told.value === null || told.value === undefined) {
    box.classList.add("absent");
    const later = lapsesLater(metric, list[0], lastDay(asked));
    box.append(h("p.value", null, "–"), h("p.soft", null, later || (list.length ? t("nothing.in.period") : absence(metric))));
    if (!later && isObserved(metric) && isLate(metric, asked)) box.append(h("p.flags", null, lateFlag(metric)));
    return box;
  }
  box.classList.toggle("is-provisional", !told.isFinal);
  box.classList.toggle("is-small", told.isSmall);
  const value = h("p.value", {
    "data-metric": metric,
    "data-value": told.value, "data-low": told.low, "data-high": told.high, "data-grain": list[0].o || { M: "month", W: "week" }[asked.grain], "data-dimensions": JSON.stringify(list[0].d),
    "data-first": CALENDAR[asked.grain][asked.from], "data-last": CALENDAR.end(asked.grain, asked.to), "data-final": String(told.isFinal), "data-counted": told.isNothing ? "nothing" : null,
  }, inUnit(told.value, told.definition.unit));
  box.append(tipped(value, () => describe(told, null)), changeLine(told));
  if (told.low !== null && told.low !== undefined) {
    box.append(h("p.soft.range", null, t("interval", { low: inUnit(told.low, told.definition.unit), high: inUnit(told.high, told.definition.unit) }), told.n === null ? "" : " · " + t("n", { n: number(told.n) })));
  }
  const later = lapsesLater(metric, list[0], lastDay(asked));
  if (later) box.append(h("p.soft.range", null, later));
  const held = heldLine(told), trend = sparkline(metric, variants(pick, state.grain, state.filter).find((one) => apartKey(one) === apartKey(list[0])) || list[0], asked), marks = flags(told);
  if (state.filter && isSummed(metric) && !canFilter(metric, state.filter)) marks.push(h("span.flag", null, t("not.by", { dim: dimension(state.filter.dim) })));
  if (state.filter && !isSummed(metric)) marks.push(h("span.flag", null, t("not.by", { dim: dimension(state.filter.dim) })));
  if (list.length > 1) marks.push(h("span.flag", null, t("other.scales", { n: list.length - 1 })));
  box.append(...[held, trend, marks.length ? h("p.flags", null, marks) : null].filter(Boolean));
  return box;
}

BLOCKS.figures = (block) => {
  const groups = block.options.groups || [{ picks: block.picks }];
  return groups.map((group) => h("div.group", null, group.word ? h("h3.eyebrow", null, t(group.word)) : null, h("div.tiles", null, group.picks.map(tiles))));
};

// What moved more than chance explains. Of two values with intervals the difference has one, too: R. G. Newcombe, "Interval
// Estimation for the Difference between Independent Proportions", Statistics in Medicine 17 (1998), 873-890, method 10.
// Counts: by more than 1.96 roots of their sum. No correction is made for looking at many metrics; the page says how many.
function isBeyondChance(now, before) {
  const difference = now.value - before.value;
  return difference > 0 ? difference > Math.hypot(now.value - now.low, before.high - before.value) : -difference > Math.hypot(now.high - now.value, before.value - before.low);
}

BLOCKS.moved = (block) => {
  const asked = period(), other = comparedWith(asked), better = [], worse = [], missed = [];
  let judged = 0;
  for (const pick of block.picks) {
    const { metric } = asPick(pick);
    if (!DATA.metrics[metric]) continue;
    const one = variants(pick, asked.grain, state.filter)[0], told = one && valueOf(metric, one, asked);
    if (!told || told.value === null || told.isSmall) continue;
    const held = heldAgainst(metric, asked).target;
    if (held && isGood(metric, told.value - held.value) === false) missed.push({ told, to: held.value });
    const before = earlierOf(told), direction = told.definition.direction;
    if (before === null || before === undefined || direction === "none" || !other) continue;
    const earlier = one.o ? null : valueOf(metric, one, other);
    const isCount = told.definition.unit === "count" && told.definition.class === "additive";
    if (!isCount && (told.low === null || !earlier || earlier.low === null)) continue;
    judged += 1;
    const moved = isCount ? Math.abs(told.value - before) > 1.96 * Math.sqrt(told.value + before) : isBeyondChance(told, earlier);
    if (moved) (isGood(metric, told.value - before) ? better : worse).push({ told, to: before });
  }
  const entry = ({ told, to }, isTarget) => h("li", null, definitionButton(told.metric, told), h("span.now", null, " " + inUnit(told.value, told.definition.unit)),
    h("span.soft", null, " " + t(isTarget ? "against.target" : "was", { value: inUnit(to, told.definition.unit) })));
  const column = (word, list, kind, isTarget) => h("div.column." + kind, null, h("h3", null, t(word)), list.length ? h("ul", null, list.map((one) => entry(one, isTarget))) : h("p.soft", null, t("nothing.here")));
  const sales = DATA.metrics.net_sales?.is_on ? variants("net_sales", asked.grain, state.filter)[0] : null, told = sales && valueOf("net_sales", sales, asked);
  const before = told && told.value !== null ? earlierOf(told) : null;
  const lead = told && told.value !== null ? h("p.lead", null, before > 0
    ? t("lead", { period: periodName(asked), sales: inUnit(told.value, "currency"), change: percentChange(told.value, before), before: t(state.against === "year" ? "than.year" : "than.previous") })
    : t("lead.alone", { period: periodName(asked), sales: inUnit(told.value, "currency") })) : null;
  return [lead, h("div.columns", null, column("got.better", better, "good"), column("got.worse", worse, "bad"), column("off.target", missed, "neutral", true)),
    h("p.soft.note", null, other || comparedWith(asked) ? t("judged", { n: judged }) : t("no.comparison"))];
};

function trendLines(pick, options) {
  const { metric } = asPick(pick);
  let list = variants(pick, state.grain, state.filter), by = options && options.by;
  if (by && !(state.filter && state.filter.dim === by)) {
    list = seriesOf(metric).filter((one) => one.g === state.grain && one.b === by && matches(one.d, asPick(pick).where));
    const weight = (one) => (one.k || one.n).reduce((sum, value) => sum + Math.abs(value || 0), 0);
    list.sort((a, b) => weight(b) - weight(a));
  }
  return list.map((series) => ({ metric, series, name: (by && series.b === by ? [member(series.d[by]), ...apart(series).map(([key, value]) => apartName(key, value))].join(" · ") : nameOf(pick, series)) || label(metric) }));
}

function trend(pick, options) {
  const { metric } = asPick(pick), definition = DATA.metrics[metric], box = h("div.panel", { "data-trend": metric });
  box.append(h("h3", null, definition ? definitionButton(metric, null) : metric));
  if (definition?.is_on && definition.is_stale && isObserved(metric)) box.append(h("p.flags", null, lateFlag(metric)));
  const lines = (definition ? trendLines(pick, options) : []).filter((one) => points(metric, one.series).length);
  if (!lines.length) {
    box.append(h("p.soft", null, lapsesLater(metric, null, DATA.through) || absence(metric)));
    return box;
  }
  // windows of days stand in their order, anything else by what is behind it
  const shown = lines.slice(0, LINES).sort((a, b) => (a.series.d.window_days || 0) - (b.series.d.window_days || 0)), last = points(metric, lines[0].series).at(-1), summary = last ? `${lines[0].name}: ${inUnit(last.value, definition.unit)}, ${periodName(last.period)}` : "";
  const own = lines[0].series.o ? spanName({ span: lines[0].series.o }) : null;
  const note = [own, lines.length === 1 && lines[0].name !== label(metric) ? lines[0].name : null].filter(Boolean).join(" · ");
  if (note) box.append(h("p.variant", null, bdi(note)));
  box.append(figure(label(metric), summary, () => trendSpec(shown, period(), options && options.height), () => trendTable(lines)));
  const later = shown.map((one) => lapsesLater(metric, one.series, CALENDAR.end(one.series.g, points(metric, one.series)[0].at))).find(Boolean);
  if (later) box.append(h("p.soft.range", null, later));
  if (shown.some((one) => points(metric, one.series).some((point) => point.isSmall))) box.append(h("p.soft.range", null, t("small.pale", { n: number(definition.min_n) })));
  if (shown.length < lines.length) box.append(h("p.soft.note", null, t("largest.of", { n: number(shown.length), all: number(lines.length) })));
  return box;
}

// Parts that make one whole, over months or weeks: [{word, colour, value(n)}] of one series of periods.
function stackSpec(rows, words, colours) {
  const low = Math.min(...rows.map((one) => one.at)), high = Math.max(...rows.map((one) => one.at)), every = Math.max(1, Math.ceil((high - low + 1) / (window.innerWidth < 700 ? 4 : 8))), ticks = [];
  for (let n = low; n <= high; n += every) ticks.push(n);
  return {
    width: "container", height: 220, autosize: { type: "fit-x", contains: "padding" }, data: { values: rows.map((one) => ({ ...one, left: one.at - 0.42, right: one.at + 0.42 })) },
    mark: { type: "rect" },
    encoding: {
      x: { field: "left", type: "quantitative", scale: { domain: [low - 0.5, high + 0.5], nice: false, zero: false }, axis: { values: ticks, formatType: "cxAt", format: state.grain, title: null } },
      x2: { field: "right" }, y: { field: "from", type: "quantitative", scale: { domain: [0, 1] }, axis: { formatType: "cxValue", format: "share", title: null } }, y2: { field: "to" },
      color: { field: "part", type: "nominal", sort: words, scale: { domain: words, range: colours.map(colour) }, legend: { symbolType: "square" } },
      opacity: { condition: { test: "datum.isOpen", value: 0.5 }, value: 1 }, tooltip: { field: "tip" },
    },
  };
}

function stackFigure(name, rows, words, colours) {
  const table = () => ({ head: [t("period"), ...words], rows: [...new Set(rows.map((one) => one.at))].map((at) => [tick(state.grain, at), ...words.map((word) => { const one = rows.find((row) => row.at === at && row.part === word); return num(one ? inUnit(one.to - one.from, "share") : ""); })]) });
  return figure(name, words.join(", "), () => stackSpec(rows, words, colours), table);
}

// Promoters, passives and detractors of each scale; they are the parts of the score, and add up to all answers.
BLOCKS.nps_split = (block) => {
  const words = ["detractors", "passives", "promoters"].map((word) => t(word)), list = DATA.metrics.nps?.is_on ? variants("nps", state.grain, state.filter) : [];
  if (!list.length) return h("p.soft", null, absence("nps"));
  return h("div.panels", null, list.map((series) => {
    const rows = [];
    for (const one of points("nps", series)) {
      const at = position(series, one.at), n = one.denominator, promoters = series.x[at], detractors = promoters - (one.value / 100) * n;
      if (!n) continue;
      const shares = [detractors / n, (n - promoters - detractors) / n, promoters / n];
      let from = 0;
      shares.forEach((share, m) => { rows.push({ at: one.at, part: words[m], from, to: from + share, isOpen: !one.isFinal, tip: `${periodName(one.period)}\n${words[m]}: ${inUnit(share, "share")}\n${precise(Math.round(share * n))} / ${precise(n)}${one.isFinal ? "" : "\n" + t("provisional.until", { day: day(one.finalOn) })}` }); from += share; });
    }
    return h("div.panel", null, h("h3", null, definitionButton("nps", null)), h("p.variant", null, bdi(nameOf("nps", series))), stackFigure(nameOf("nps", series), rows, words, ["c3", "c8", "c1"]));
  }));
};

// Shares of one denominator that add up to all of it.
BLOCKS.stack = (block) => {
  const metrics = block.picks.map((pick) => asPick(pick).metric), words = metrics.map(label), rows = [], bottom = new Map();
  if (!DATA.metrics[metrics[0]]?.is_on) return h("p.soft", null, absence(metrics[0]));
  for (const metric of metrics) {
    const series = variants(metric, state.grain, state.filter)[0];
    for (const one of series ? points(metric, series) : []) {
      const from = bottom.get(one.at) || 0;
      rows.push({ at: one.at, part: label(metric), from, to: from + one.value, isOpen: !one.isFinal, tip: describe(one) });
      bottom.set(one.at, from + one.value);
    }
  }
  return rows.length ? [h("p.with", null, metrics.map((metric) => definitionButton(metric, null))), stackFigure(t(block.word), rows, words, ["c1", "c8", "c3"])] : h("p.soft", null, t("nothing.yet"));
};

// Kaplan-Meier curves with their 95 % interval (Greenwood) where one curve is drawn.
BLOCKS.curve = (block) => {
  const rows = rowsOf(block), metric = asPick(block.picks[0]).metric, { event, time } = block.options;
  if (!rows.length) return h("p.soft", null, absence(metric));
  const all = [...new Set(rows.map((one) => one.name))], weight = (name) => Math.max(...rows.filter((one) => one.name === name).map((one) => one.at_risk));
  const names = all.length > LINES ? all.sort((a, b) => weight(b) - weight(a)).slice(0, LINES) : all, values = rows.filter((one) => names.includes(one.name)).map((one) => ({
    day: one.day, survival: one.survival, name: member(one.name),
    tip: [`${label(metric)} · ${member(one.name)}`, t("after.days", { n: number(one.day) }), inUnit(one.survival, "share"), t("interval", { low: inUnit(Math.max(0, one.survival - 1.96 * one.standard_error), "share"), high: inUnit(Math.min(1, one.survival + 1.96 * one.standard_error), "share") }), `at_risk: ${precise(one.at_risk)}`, `${event}: ${precise(one.events)}`, one.is_final ? null : t("provisional.until", { day: day(one.final_on) })].filter(Boolean).join("\n"),
  }));
  const domain = names.map(member), spec = () => ({
    width: "container", height: 280, autosize: { type: "fit-x", contains: "padding" }, data: { values },
    layer: [
      { mark: { type: "line", interpolate: "step-after" }, encoding: { color: { field: "name", type: "nominal", sort: domain, scale: { domain, range: coloursOf(domain) }, legend: {} } } },
      { mark: { type: "point", size: 160, opacity: 0, filled: true }, encoding: { tooltip: { field: "tip" }, detail: { field: "name" } } },
    ],
    encoding: {
      x: { field: "day", type: "quantitative", axis: { title: t("days.after"), tickCount: 6 }, scale: { nice: false } },
      y: { field: "survival", type: "quantitative", scale: { domain: [0, 1] }, axis: { formatType: "cxValue", format: "share", title: null } },
    },
  });
  const table = () => ({ head: [t("what"), t("days.after"), t("value"), t("interval.95"), "at_risk", event], rows: rows.map((one) => [member(one.name), num(number(one.day)), num(inUnit(one.survival, "share")), num(`± ${inUnit(1.96 * one.standard_error, "share")}`), one.at_risk, one.events]) });
  return [h("p.with", null, definitionButton(metric, null), h("span.soft", null, t("as.of", { day: day(rows[0].metric_date) }))), figure(label(metric), "", spec, table), names.length < all.length ? h("p.soft.note", null, t("largest.of", { n: number(names.length), all: number(all.length) })) : null];
};

BLOCKS.trends = (block) => h("div.panels", null, block.picks.map((pick) => trend(pick, block.options)));
BLOCKS.trend = (block) => block.picks.map((pick) => trend(pick, { height: 260, ...block.options }));

// Members of a dimension against metrics: each cell a number with its bar, nothing averaged over rows.
BLOCKS.matrix = (block) => {
  const asked = period(), by = block.options.by, members = new Map(), columns = [];
  for (const pick of block.picks) {
    const { metric } = asPick(pick), definition = DATA.metrics[metric];
    if (!definition) continue;
    const cells = new Map();
    for (const one of seriesOf(metric)) {
      if (one.g !== asked.grain || one.b !== by || !matches(one.d, asPick(pick).where)) continue;
      const told = valueOf(metric, one, asked), key = String(one.d[by]);
      if (!told || told.value === null || cells.has(key) && !cells.get(key).isNothing && (cells.get(key).denominator || 0) >= (told.denominator || 0)) continue;
      cells.set(key, told);
      if (!told.isNothing) members.set(key, (members.get(key) || 0) + (columns.length === 0 ? Math.abs(told.value) : 0));
    }
    columns.push({ pick, metric, definition, cells });
  }
  const names = [...members.keys()].sort((a, b) => members.get(b) - members.get(a));
  if (!names.length) return h("p.soft", null, columns.length ? absence(columns[0].metric) : t("nothing.yet"));
  const body = names.map((name) => h("tr", null, h("th", { scope: "row" }, shortened(member(name))), columns.map(({ metric, definition, cells }) => {
    const told = cells.get(name);
    if (!told) return h("td.n.empty", null, "–");
    const most = Math.max(...[...cells.values()].map((one) => Math.abs(one.value))) || 1;
    const bar = h("span.bar", { "aria-hidden": "true" });
    bar.style.width = `${(Math.abs(told.value) / most) * 100}%`;
    const cell = h("td.n", { "data-metric": metric, "data-member": name, "data-value": told.value, class: ["n", told.isSmall ? "is-small" : "", told.isFinal ? "" : "is-provisional"].join(" ") },
      h("span.figure", null, inUnit(told.value, definition.unit)), bar);
    return tipped(cell, () => describe(told, `${label(metric)} · ${member(name)}`));
  })));
  const more = Math.max(0, ...columns.map(({ metric }) => (DATA.leftOut[metric] || {})[by] || 0));
  return [h("div.wide", { tabindex: "0", role: "region", "aria-label": t(block.word) }, h("table.matrix", null,
    h("thead", null, h("tr", null, h("th", { scope: "col" }, dimension(by)), columns.map(({ metric, cells }) => h("th.n", { scope: "col" }, definitionButton(metric, null), isObserved(metric) && isLate(metric, asked) ? [" ", lateFlag(metric)] : null, cells.size ? null : h("span.soft", null, " " + absence(metric)))))),
    h("tbody", null, body))), more ? h("p.soft.note", null, t("more.members", { n: number(more) })) : null];
};

// How strong a cell of a heat map is coloured; text stays readable on it because the colour is never more than half there.
function heat(cell, share) {
  cell.style.background = `color-mix(in srgb, var(--accent) ${Math.round(Math.max(0, Math.min(1, share)) * 42)}%, transparent)`;
  return cell;
}

// Cohorts by month of first order: the share that bought in each month after.
BLOCKS.cohorts = (block) => {
  const rows = rowsOf(block);
  if (!rows.length) return h("p.soft", null, absence("cohort_retention"));
  const isRolling = BLOCKS.cohorts.isRolling || false, cohorts = new Map();
  let most = 0;
  for (const row of rows) {
    if (!cohorts.has(row.cohort_month)) cohorts.set(row.cohort_month, []);
    cohorts.get(row.cohort_month)[row.months_since] = row;
    if (row.months_since) most = Math.max(most, row.months_since);
  }
  const months = Array.from({ length: Math.min(most, 24) }, (_, n) => n + 1), metric = isRolling ? "cohort_retention_rolling" : "cohort_retention";
  const shares = rows.filter((row) => row.months_since).map((row) => (isRolling ? row.active_or_later : row.active) / row.customers);
  const top = Math.max(...shares, 0.01), min = DATA.metrics[metric]?.min_n || 30;
  const body = [...cohorts.entries()].reverse().map(([cohort, list]) => h("tr", null, h("th", { scope: "row" }, shortMonth(cohort)), h("td.n.size", null, number(list.find(Boolean).customers)),
    months.map((n) => {
      const row = list[n];
      if (!row) return h("td.empty");
      const active = isRolling ? row.active_or_later : row.active, share = row.customers ? active / row.customers : null;
      const cell = heat(h("td.n", { class: ["n", row.customers < min ? "is-small" : "", row.is_final ? "" : "is-provisional"].join(" "), "data-value": share }, share === null ? "–" : inUnit(share, "share", true)), share / top);
      return tipped(cell, () => [month(cohort), t("months.after", { n }), inUnit(share, "share"), `${isRolling ? "active_or_later" : "active"}: ${precise(active)}`, `customers: ${precise(row.customers)}`,
        row.is_final ? null : t("provisional.until", { day: day(row.final_on) }), row.customers < min ? t("small", { n: min }) : null].filter(Boolean).join("\n"));
    })));
  const choice = h("div.choice", { role: "group", "aria-label": t("cohorts") }, [[false, "cohort.classic"], [true, "cohort.rolling"]].map(([value, word]) =>
    h("button", { type: "button", "aria-pressed": String(isRolling === value), onclick: () => { BLOCKS.cohorts.isRolling = value; draw(); } }, t(word))));
  return [h("p.with", null, definitionButton(metric, null), choice), h("div.wide", { tabindex: "0", role: "region", "aria-label": t(block.word) }, h("table.heat", null,
    h("thead", null, h("tr", null, h("th", { scope: "col" }, t("cohort")), h("th.n", { scope: "col" }, t("customers")), months.map((n) => h("th.n", { scope: "col" }, String(n))))), h("tbody", null, body)))];
};

// Cohorts of one segment at a time; which ones is chosen above them.
BLOCKS.segments = (block) => {
  const rows = rowsOf(block);
  if (!rows.length) return h("p.soft", null, absence("cohort_retention_by_segment"));
  const keys = [...new Set(rows.map((one) => JSON.stringify([one.dimension, one.segment])))];
  const chosen = keys.includes(BLOCKS.segments.chosen) ? BLOCKS.segments.chosen : keys[0];
  const options = keys.map((key) => { const [dim, segment] = JSON.parse(key); return [key, `${dimension(dim)}: ${member(segment)}`]; });
  const own = rows.filter((one) => JSON.stringify([one.dimension, one.segment]) === chosen);
  return [select("segment", chosen, options, (value) => { BLOCKS.segments.chosen = value; draw(); document.getElementById("choose-segment").focus(); }),
    BLOCKS.cohorts({ ...block, rows: { columns: Object.keys(own[0]), rows: own.map((one) => Object.values(one)) } })];
};

// Contacts by hour of the day and channel over the months of the period.
BLOCKS.hours = (block) => {
  const asked = period(), first = CALENDAR[asked.grain][asked.from].slice(0, 7), last = CALENDAR.end(asked.grain, asked.to).slice(0, 7), filter = state.filter?.dim === "channel" ? state.filter.value : null;
  const rows = rowsOf(block).filter((one) => one.month.slice(0, 7) >= first && one.month.slice(0, 7) <= last && (!filter || one.channel === filter));
  if (!rows.length) return h("p.soft", null, t("nothing.in.period"));
  const channels = new Map();
  for (const one of rows) {
    if (!channels.has(one.channel)) channels.set(one.channel, Array(24).fill(0));
    channels.get(one.channel)[one.hour] += one.inbound;
  }
  const list = [...channels.entries()].sort((a, b) => b[1].reduce((x, y) => x + y) - a[1].reduce((x, y) => x + y)), top = Math.max(...list.flatMap(([, counts]) => counts)) || 1;
  const body = list.map(([name, counts]) => h("tr", null, h("th", { scope: "row" }, shortened(member(name))), counts.map((count, hour) => tipped(
    heat(h("td.n", { "data-channel": name, "data-hour": hour, "data-value": count }, count ? inUnit(count, "count", true) : "·"), count / top), () => `${label("contact_volume")} · ${member(name)}\n${String(hour).padStart(2, "0")}:00–${String(hour + 1).padStart(2, "0")}:00\n${precise(count)}`))));
  const months = first === last ? month(first + "-01") : `${shortMonth(first + "-01")} – ${shortMonth(last + "-01")}`;
  return [h("p.with", null, definitionButton("contact_volume", null), h("span.soft", null, months), state.filter && !filter ? h("span.soft", null, t("not.by", { dim: dimension(state.filter.dim) })) : null),
    h("div.wide", { tabindex: "0", role: "region", "aria-label": t(block.word) }, h("table.heat.hours", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, dimension("channel")), Array.from({ length: 24 }, (_, hour) => h("th.n", { scope: "col" }, String(hour).padStart(2, "0"))))), h("tbody", null, body)))];
};

BLOCKS.cohort_value = (block) => {
  const rows = rowsOf(block);
  if (!rows.length) return h("p.soft", null, absence("clv_historic"));
  return [h("p.with", null, definitionButton("clv_historic", null)), plainTable({
    head: [t("cohort"), t("customers"), t("value.per.customer"), t("orders.per.customer"), t("value.sum")], caption: t(block.word),
    rows: rows.map((one) => [shortMonth(one.cohort_month), one.customers, num(inUnit(one.clv_historic / one.customers, "currency"), one.customers < 30 ? "is-small" : ""), num(precise(Math.round((one.orders / one.customers) * 100) / 100)), num(inUnit(one.clv_historic, "currency"))]),
  })];
};

// Sums are divided once, by segment and by cohort; a bias is that of the segment's backtest.
BLOCKS.predicted = (block) => {
  const rows = rowsOf(block);
  if (!rows.length) return h("p.soft", null, DATA.metrics.clv_predicted?.is_on ? t("predicted.none") : absence("clv_predicted"));
  const signed = (value) => intl("n", { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 1 }).format(value);
  const table = (word, name, key) => {
    const found = new Map();
    // newest cohorts first, as in the tables above
    for (const one of [...rows].sort((a, b) => (key === "segment" ? 0 : b.cohort_month.localeCompare(a.cohort_month)))) {
      const sum = found.get(one[key]) || { customers: 0, active: 0, purchases: 0, clv12: 0, clv24: 0, biases: [] };
      found.set(one[key], { customers: sum.customers + one.customers, active: sum.active + one.expected_active, purchases: sum.purchases + one.expected_purchases_365d, clv12: sum.clv12 + one.clv_12m, clv24: sum.clv24 + one.clv_24m, biases: one.backtest_bias === null ? sum.biases : [...sum.biases, one.backtest_bias] });
    }
    return plainTable({
      caption: t(word), head: [t(word), t("customers"), t("still.active"), t("orders.year"), t("clv.12"), t("clv.24"), t("bias")],
      rows: [...found.entries()].map(([value, one]) => [name(value), one.customers, num(inUnit(one.active / one.customers, "share")), num(precise(Math.round((one.purchases / one.customers) * 100) / 100)), num(inUnit(one.clv12 / one.customers, "currency"), one.customers < 30 ? "is-small" : ""), num(inUnit(one.clv24 / one.customers, "currency"), one.customers < 30 ? "is-small" : ""), num(one.biases.length ? [...new Set([Math.min(...one.biases), Math.max(...one.biases)])].map(signed).join(" … ") : "–")]),
    });
  };
  return [h("p.with", null, definitionButton("clv_predicted", null), definitionButton("clv_predicted_24m", null), h("span.soft", null, t("fitted", { day: day(rows[0].fitted_on), at: day(rows[0].metric_date) }))),
    table("segment", member, "segment"), h("div.apart", null, table("cohort", shortMonth, "cohort_month"))];
};

BLOCKS.backtests = (block) => {
  const rows = rowsOf(block);
  if (!rows.length) return h("p.soft", null, t("predicted.none"));
  const share = (value) => num(value === null ? "–" : intl("n", { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 1 }).format(value));
  return plainTable({
    caption: t(block.word), head: [t("segment"), t("model"), t("state"), t("holdout"), t("customers"), t("foreseen"), t("came"), t("bias"), t("bias.value")],
    rows: rows.map((one) => [member(one.segment), one.model, one.is_preferred ? t("in.use") : "", `${day(one.calibrated_on)} + ${t("n.days", { n: one.holdout_days })}`, one.customers, num(`${number(one.expected_purchases)} (${number(one.expected_low)} – ${number(one.expected_high)})`), one.purchases, share(one.bias), share(one.value_bias)]),
  });
};

BLOCKS.experience = (block) => {
  const rows = rowsOf(block), min = DATA.metrics.experience_value?.min_n || 30;
  if (!rows.length) return h("p.soft", null, absence("experience_value"));
  const small = (one) => (one.persons < min ? "is-small" : "");
  return [h("p.with", null, block.picks.slice(0, 3).map((pick) => definitionButton(pick, null))), plainTable({
    caption: t(block.word), head: [t("window"), t("question"), t("band"), t("persons"), t("orders.per.customer"), t("sales.per.customer"), t("difference"), t("lost"), t("answered.in")],
    rows: rows.map((one) => [t("within.days", { n: one.window_days }), `${has("kind." + one.metric_kind) ? t("kind." + one.metric_kind) : one.metric_kind} · ${apartName("scale_id", one.scale_id)}`, has("band." + one.band) ? t("band." + one.band) : one.band, one.persons, num(precise(one.orders_per_person === null ? null : Math.round(one.orders_per_person * 100) / 100), small(one)), num(inUnit(one.net_amount_per_person, "currency"), small(one)),
      num(one.net_amount_difference === null ? "–" : differenceInUnit(one.net_amount_difference, "currency"), small(one)), num(inUnit(one.churn_rate, "share"), small(one)), shortMonth(one.metric_date)]),
  })];
};

BLOCKS.associations = (block) => {
  const rows = rowsOf(block);
  if (!rows.length) return h("p.soft", null, DATA.metrics.experience_association?.is_on ? t("nothing.yet") : absence("experience_association"));
  return [h("p.with", null, definitionButton("experience_association", null)), plainTable({
    caption: t(block.word), head: [t("outcome"), t("question"), t("persons"), "Pearson", t("interval.95"), "Spearman", t("answered.in")],
    rows: rows.map((one) => [has("kind." + one.outcome) ? t("kind." + one.outcome) : one.outcome.replaceAll("_", " "), apartName("scale_id", one.experience_scale_id), one.persons, num(number(one.pearson, 2)), num(`${number(one.pearson_low, 2)} – ${number(one.pearson_high, 2)}`), num(one.spearman === null ? "–" : number(one.spearman, 2)), shortMonth(one.metric_date)]),
  })];
};

// Agents against what the team does with the same mix of channels and topics. Colour, and a badge where
// it is a good one, only where chance does not explain the difference: Wilson's interval of the agent's share lies beyond the expected one, or a count beyond 1.96 roots.
const AGENT_COLUMNS = [
  { metric: "agent_aht_to_team", rate: "agent_aht" }, { metric: "agent_transfers_to_team", rate: "agent_transfers_per_leg", badge: "badge.transfers", isCount: true },
  { metric: "agent_fcr_to_team", rate: "agent_fcr", badge: "badge.fcr" }, { metric: "agent_csat_to_team", rate: "agent_csat", badge: "badge.csat" },
  { metric: "agent_quality_to_team", rate: "agent_quality_score", count: "agent_evaluations" },
];
BLOCKS.agents = (block) => {
  const asked = period(), teams = new Map(rowsOf(block).map((one) => [one.agent_id, one.team])), at = (metric, agent) => {
    const one = seriesOf(metric).find((series) => series.g === asked.grain && series.b === "agent_id" && series.d.agent_id === agent);
    return one ? valueOf(metric, one, asked) : null;
  };
  if (!DATA.metrics.agent_handled_legs?.is_on) return h("p.soft", null, absence("agent_handled_legs"));
  const min = DATA.metrics.agent_handled_legs.min_n, sorted = BLOCKS.agents.by || "agent_handled_legs", chosen = BLOCKS.agents.team || "", list = [];
  for (const agent of teams.keys()) {
    const handled = at("agent_handled_legs", agent);
    if (!handled || !handled.value || (chosen && teams.get(agent) !== chosen)) continue;
    const cells = AGENT_COLUMNS.map((column) => {
      const told = at(column.metric, agent), rate = at(column.rate, agent), n = column.count ? at(column.count, agent)?.value : rate?.denominator, expected = told?.denominator;
      let side = 0; // where chance does not explain the difference: above (1) or below (-1) what is expected
      if (told && told.value !== null && column.badge && n >= min) {
        if (column.isCount) side = Math.abs(told.numerator - expected) > 1.96 * Math.sqrt(expected) ? Math.sign(told.numerator - expected) : 0;
        else {
          const [low, high] = interval({ interval: "wilson", scale: 1 }, told.numerator, n, null);
          side = low > expected / n ? 1 : high < expected / n ? -1 : 0;
        }
      }
      const good = side ? isGood(column.metric, side) : null, badge = good ? column.badge : null;
      return { told, rate, n: n || 0, isSmall: (n || 0) < min, good, badge };
    });
    list.push({ agent, handled, cells, badges: cells.map((one) => one.badge).filter(Boolean) });
  }
  if (!list.length) return h("p.soft", null, t("nothing.in.period"));
  const place = AGENT_COLUMNS.findIndex((one) => one.metric === sorted), direction = DATA.metrics[sorted]?.direction === "down" ? 1 : -1;
  // a small sample ranks nowhere: it stands last
  const key = (one) => (place < 0 ? one.handled.value : one.cells[place].isSmall || one.cells[place].told?.value === null ? null : one.cells[place].told?.value ?? null);
  list.sort((a, b) => (key(a) === null) - (key(b) === null) || direction * ((key(a) ?? 0) - (key(b) ?? 0)));
  const head = (metric) => h("th.n", { scope: "col", "aria-sort": metric === sorted ? (direction < 0 ? "descending" : "ascending") : null }, definitionButton(metric, null),
    h("button.sort", { type: "button", "aria-label": t("sort.by", { what: label(metric) }), "aria-pressed": String(metric === sorted), onclick: () => { BLOCKS.agents.by = metric; draw(); } }, metric === sorted ? "▾" : "▿"));
  const body = list.map(({ agent, handled, cells, badges }) => h("tr", null, h("th", { scope: "row" }, shortened(agent), h("span.soft", null, " ", shortened(String(member(teams.get(agent)))))),
    tipped(h("td", { class: "n" + (handled.value < min ? " is-small" : ""), "data-agent": agent, "data-metric": "agent_handled_legs", "data-value": handled.value }, number(handled.value)), () => describe(handled, agent)),
    cells.map(({ told, rate, n, isSmall, good }) => {
      if (!told || told.value === null) return h("td.n.empty", null, "–");
      const cell = h("td", { class: ["n", isSmall ? "is-small" : good === null ? "" : good ? "good" : "bad", told.isFinal ? "" : "is-provisional"].join(" "), "data-agent": agent, "data-metric": told.metric, "data-value": told.value },
        h("span.figure", null, inUnit(told.value, "index")), rate && rate.value !== null ? h("span.soft.under", null, inUnit(rate.value, rate.definition.unit)) : null);
      return tipped(cell, () => [describe(told, `${label(told.metric)} · ${agent}`), t("n", { n: number(n) }), isSmall ? t("small", { n: min }) : null].filter(Boolean).join("\n"));
    }), h("td.badges", null, badges.map((word) => h("span.badge", null, t(word))))));
  const names = [...new Set(teams.values())].filter((one) => one !== null).sort();
  return [names.length > 1 ? select("dim.team", chosen, [["", t("value.all")], ...names.map((one) => [one, member(one)])], (value) => { BLOCKS.agents.team = value; draw(); document.getElementById("choose-dim-team").focus(); }) : null,
    h("div.wide", { tabindex: "0", role: "region", "aria-label": t(block.word) }, h("table.agents", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, dimension("agent_id")), head("agent_handled_legs"), AGENT_COLUMNS.map((one) => head(one.metric)), h("th", { scope: "col" }, t("badges")))), h("tbody", null, body)))];
};

// One person at a time: by id, or by what the next action is.
BLOCKS.persons = (block) => {
  const all = rowsOf(block), of = block.rows.of, list = h("ol.found", { "aria-live": "polite" }), card = h("div.card", { "aria-live": "polite" });
  const field = (word, value) => (value === null || value === undefined || value === "" ? null : [h("dt", null, t(word)), h("dd", null, value)]);
  const show = (one) => {
    const score = (value, of_, at) => (value === null ? null : `${precise(value)}${of_ ? " / " + precise(of_) : ""} · ${day(at)}`);
    card.replaceChildren(h("h3", null, bdi(one.person_id)), h("p.lead", null, has("action." + one.next_best_action_rule) ? t("action." + one.next_best_action_rule) : one.next_best_action || t("none")), h("p.soft", null, t("because", { rule: (one.next_best_action_rule || "–").replaceAll("_", " ") })),
      h("dl", null, field("state", has("customer." + one.customer_state) ? t("customer." + one.customer_state) : one.customer_state), field("value.to.date", inUnit(one.clv_historic, "currency")), field("clv_simple", one.clv_simple === null ? null : inUnit(one.clv_simple, "currency")), field("orders", `${number(one.orders)} (${t("last.year", { n: number(one.orders_trailing_365d) })})`),
        field("first.order", day(one.first_order_date)), field("last.order", day(one.last_order_date)), field("lapses", one.lapses_on ? day(one.lapses_on) : null), field("dim.plan", one.plans), field("contract.ends", one.contract_ends_on ? day(one.contract_ends_on) : null), field("products", one.owned_products ? bdi(one.owned_products) : null),
        field("open.cases", one.open_cases === null ? null : number(one.open_cases) + (one.oldest_open_case_days ? ` · ${t("oldest", { n: number(one.oldest_open_case_days) })}` : "")), field("last.topic", one.last_case_topic), field("last.contact", one.last_contact_date ? day(one.last_contact_date) : null), field("last.nps", score(one.last_nps, 10, one.last_nps_date)), field("last.csat", score(one.last_csat, one.last_csat_of, one.last_csat_date)),
        field("next.product", one.next_product ? `${one.next_product} (${t("lift", { n: precise(one.next_product_lift) })})` : null)));
  };
  const find = (text) => {
    const wanted = text.trim().toLowerCase(), hits = wanted ? all.filter((one) => one.person_id.toLowerCase().includes(wanted)) : all;
    list.replaceChildren(...hits.slice(0, 12).map((one) => h("li", null, h("button.define", { type: "button", onclick: () => show(one) }, bdi(one.person_id)), h("span.soft", null, " " + inUnit(one.clv_historic, "currency")))));
    count.textContent = t("found", { n: number(hits.length) });
  };
  const count = h("p.soft"), input = h("input", { id: "find", type: "search", autocomplete: "off", spellcheck: "false", oninput: (event) => find(event.target.value) });
  find("");
  if (all.length) show(all[0]);
  const late = DATA.stale.filter((one) => one.data_through).map((one) => h("span.flag.stale", null, bdi(one.feed), ": " + t("stale.since", { day: day(one.data_through) })));
  return [late.length ? h("p.flags", null, late) : null, h("p", null, all.length < of ? t("persons.some", { n: number(all.length), of: number(of) }) : t("persons.all", { n: number(of) })), h("p.notice", null, t("persons.warning")),
    h("div.lookup", null, h("div", null, h("div.field", null, h("label", { for: "find" }, t("find")), input), count, list), card)];
};

// The largest change of a row. Where the value is the same as it is written, its parts are what changed.
function largestChange(row, unit) {
  const was = inUnit(row.was, unit), now = inUnit(row.becomes, unit);
  if (was !== now) return { text: `${was} → ${now}` };
  const before = JSON.parse(row.parts_were || "{}"), after = JSON.parse(row.parts_are || "{}");
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => before[name] !== after[name]);
  return { isSame: true, text: row.becomes === null ? t("no.value") : t(changed.length ? "same.value" : "same.value.only", { value: now }), parts: changed.map((name) => `${name}: ${precise(before[name])} → ${precise(after[name])}`).join("\n") };
}

BLOCKS.restated = (block) => {
  const rows = rowsOf(block), isAll = block.options.all, newest = rows.length ? rows[0].published_at : null;
  const unit = (name) => (DATA.metrics[name] || (DATA.names || {})[name])?.unit || "score", changes = new Map(rows.map((row) => [row, largestChange(row, unit(row.metric))]));
  // within a release and a kind those whose value moved, as it is written, come first
  const group = (row) => row.published_at + row.kind, groups = [...new Set(rows.map(group))], isSame = (row) => Boolean(changes.get(row).isSame);
  const ranked = [...rows].sort((a, b) => groups.indexOf(group(a)) - groups.indexOf(group(b)) || isSame(a) - isSame(b));
  const shown = isAll ? ranked : ranked.filter((row) => row.kind === "restatement").slice(0, 12);
  const counts = rows.filter((row) => row.published_at === newest).reduce((sum, row) => ({ ...sum, [row.kind]: (sum[row.kind] || 0) + row.cells }), {});
  const lead = newest ? h("p", null, t("restated.lead", { restated: number(counts.restatement || 0), provisional: number(counts.provisional || 0), day: instant(newest) })) : null;
  if (!shown.length) return [lead, h("p.soft", null, t(rows.length ? "restated.none.final" : "restated.none"))];
  const largest = (row) => {
    const { text, parts } = changes.get(row);
    return parts ? tipped(h("span", { tabindex: "0" }, text), () => parts) : text;
  };
  return [lead, plainTable({
    head: [t("metric"), t("days"), t("cells"), t("kind"), t("cause"), t("largest"), t("published")],
    rows: shown.map((row) => [label(row.metric), row.first_day === row.last_day ? day(row.first_day) : `${day(row.first_day)} – ${day(row.last_day)}`, row.cells,
      t("kind." + row.kind), row.cause.split(", ").map((one) => (has("cause." + one) ? t("cause." + one) : one)).join(", "), largest(row), instant(row.published_at)]),
    caption: t(block.word),
  })];
};

BLOCKS.feeds = () => {
  const stale = DATA.feeds.filter((one) => one.is_stale);
  const state_ = (one) => h("span." + (one.is_stale ? "bad" : "good"), null, t(one.is_stale ? "stale" : "fresh"));
  return [h("p.lead", null, stale.length ? t("feeds.stale", { n: stale.length, all: DATA.feeds.length, names: stale.map((one) => one.feed).join(", ") }) : t("feeds.fresh", { n: DATA.feeds.length, day: day(DATA.through) })),
    plainTable({
      head: [t("feed"), t("state"), t("through"), t("missing.days"), t("refused"), t("reason")],
      rows: [...DATA.feeds].sort((a, b) => b.is_stale - a.is_stale).map((one) => [one.feed, state_(one), day(one.data_through),
        num(one.missing_days ? `${number(one.missing_days)} (${t("last")} ${day(one.last_missing_day)})` : "0"), one.refused_deliveries, one.reason || ""]),
      caption: t("feeds"),
    })];
};

BLOCKS.gates = () => [
  h("p", null, t("gates.passed", { passed: number(DATA.gates.passed), not: number(DATA.gates.not_passed.length) })),
  DATA.gates.not_passed.length ? h("ul.sentences", null, DATA.gates.not_passed.map((one) => h("li", null, bdi(one)))) : null,
  h("p.soft", null, t("deliveries.lead", { n: number(DATA.deliveries) }) + " " + t("quarantined.lead", { n: number(DATA.quarantined) })),
];

BLOCKS.freshness = () => {
  const off = Object.entries(DATA.metrics).filter(([, one]) => !one.is_on), stale = Object.entries(DATA.metrics).filter(([, one]) => one.is_on && one.is_stale);
  const reason = (metric) => absence(metric), found = [h("p", null, t("metrics.lead", { on: Object.keys(DATA.metrics).length - off.length, off: off.length, stale: stale.length }))];
  if (stale.length) found.push(plainTable({ head: [t("metric"), t("through")], rows: stale.map(([name, one]) => [label(name), day(one.data_through)]), caption: t("stale") }));
  const table = off.length ? plainTable({ head: [t("metric"), t("why")], rows: off.map(([name]) => [label(name), reason(name)]), caption: t("metrics.off") }) : null;
  if (table) found.push(h("details", { open: off.length <= 20 }, h("summary", null, `${t("metrics.off")} (${number(off.length)})`), table));
  if (!DATA.personalData) found.push(h("p.soft", null, t("persons.off", { page: t("page.customer-360") })));
  return found;
};

BLOCKS.acceptances = () => (DATA.acceptances.length ? plainTable({
  head: [t("gate"), t("delivery"), t("reason"), t("who"), t("state"), t("until")],
  rows: DATA.acceptances.map((one) => [one.gate, [one.subject, one.delivery].filter(Boolean).join(" · "), one.reason, one.who, has("acceptance." + one.state) ? t("acceptance." + one.state) : one.state, day(String(one.expires_on).slice(0, 10))]),
  caption: t("acceptances"),
}) : h("p.soft", null, t("acceptances.none")));

BLOCKS.releases = (block) => plainTable({
  head: [t("published"), t("through"), t("metrics"), t("kind.restatement"), t("kind.provisional")],
  rows: rowsOf(block).map((one) => [instant(one.published_at), day(one.data_through), one.metrics, one.restated, one.provisional]),
  caption: t("releases"),
});

function section(block) {
  const id = "s-" + block.word.replaceAll(".", "-");
  const box = h("section", { "aria-labelledby": id, "data-block": block.word }, h("h2", { id }, t(block.word)), has(block.word + ".note") ? h("p.note", null, t(block.word + ".note")) : null);
  const content = block.missing ? h("p.soft", null, t("mart.off", { marts: block.missing.join(", ") })) : BLOCKS[block.kind](block);
  // figures, trends and columns of a table say it themselves
  const late = block.rows?.rows.length && !block.missing ? block.picks.map((pick) => asPick(pick).metric).find((metric) => DATA.metrics[metric]?.is_on && DATA.metrics[metric].is_stale) : null;
  box.append(...[late ? h("p.flags", null, lateFlag(late)) : null, content].flat(3).filter(Boolean));
  return box;
}
