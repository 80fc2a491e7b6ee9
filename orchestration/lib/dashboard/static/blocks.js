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

function changeLine(told) {
  const before = earlierOf(told), unit = told.definition.unit;
  if (before === null || before === undefined || told.value === null) {
    return h("p.change.none", null, CALENDAR.isComplete(told.period.grain, told.period.to) ? t("no.comparison") : t("not.over"));
  }
  const difference = told.value - before, good = isGood(told.metric, difference);
  const relative = ["currency", "count", "minutes", "seconds", "price"].includes(unit) && before > 0 ? percentChange(told.value, before) : differenceInUnit(difference, unit);
  const arrow = difference > 0 ? "▲" : difference < 0 ? "▼" : "=";
  return h("p.change." + (good === null ? "neutral" : good ? "good" : "bad"), null,
    h("span", { "aria-hidden": "true" }, arrow + " "), h("span.visually-hidden", null, good === null ? "" : t(good ? "better" : "worse") + " "),
    h("strong", null, relative), h("span.soft", null, " " + t(state.against === "year" ? "was.year" : "was", { value: inUnit(before, unit) })));
}

function flags(told) {
  const found = [];
  if (!told.isFinal) found.push(h("span.flag.provisional", null, t("provisional.until", { day: day(told.finalOn) })));
  if (told.isSmall) found.push(h("span.flag.small", null, t("small.n", { n: number(told.n) })));
  if (told.isStale) found.push(h("span.flag.stale", null, t("stale.since", { day: day(told.definition.data_through) })));
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
  const x = (n) => (n / (told.length - 1)) * (W - 8) + 4, y = (v) => (high === low ? H / 2 : H - 5 - ((v - low) / (high - low)) * (H - 10));
  const path = (list) => list.map(([n, p], m) => `${m ? "L" : "M"}${x(n).toFixed(1)} ${y(p.value).toFixed(1)}`).join("");
  const all = told.map((p, n) => [n, p]), firstOpen = told.findIndex((p) => !p.isFinal);
  const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "spark", "aria-hidden": "true", preserveAspectRatio: "none", focusable: "false" });
  drawing.append(svg("path", { d: path(firstOpen < 0 ? all : all.slice(0, firstOpen)), class: "line" }));
  if (firstOpen >= 0) drawing.append(svg("path", { d: path(all.slice(Math.max(0, firstOpen - 1))), class: "line open" }));
  const now = told.findIndex((p) => asked.grain === one.g && p.at === asked.to);
  if (now >= 0) drawing.append(svg("path", { d: `M${x(now).toFixed(1)} ${y(told[now].value).toFixed(1)}l0 0`, class: "dot" }));
  return drawing;
}

function tile(pick) {
  const { metric } = asPick(pick), asked = period(), list = DATA.metrics[metric] ? variants(pick, asked.grain, state.filter) : [];
  const box = h("div.tile", { "data-metric": metric });
  const told = list.length ? valueOf(metric, list[0], asked) : null;
  box.append(h("h3", null, DATA.metrics[metric] ? definitionButton(metric, told) : metric));
  const name = list.length ? nameOf(pick, list[0]) : nameOf(pick);
  if (name) box.append(h("p.variant", null, bdi(name)));
  if (!told || told.value === null || told.value === undefined) {
    box.classList.add("absent");
    box.append(h("p.value", null, "–"), h("p.soft", null, list.length ? t("nothing.in.period") : absence(metric)));
    return box;
  }
  box.classList.toggle("is-provisional", !told.isFinal);
  box.classList.toggle("is-small", told.isSmall);
  const value = h("p.value", { "data-value": told.value, "data-numerator": told.numerator, "data-denominator": told.denominator }, inUnit(told.value, told.definition.unit));
  box.append(tipped(value, () => describe(told, null)), changeLine(told));
  if (told.low !== null && told.low !== undefined) {
    box.append(h("p.soft.range", null, t("interval", { low: inUnit(told.low, told.definition.unit), high: inUnit(told.high, told.definition.unit) }), told.n === null ? "" : " · " + t("n", { n: number(told.n) })));
  }
  const held = heldLine(told), trend = sparkline(metric, variants(pick, state.grain, state.filter)[0] || list[0], asked), marks = flags(told);
  if (state.filter && isSummed(metric) && !canFilter(metric, state.filter)) marks.push(h("span.flag", null, t("not.by", { dim: dimension(state.filter.dim) })));
  if (state.filter && !isSummed(metric)) marks.push(h("span.flag", null, t("not.by", { dim: dimension(state.filter.dim) })));
  if (list.length > 1) marks.push(h("span.flag", null, t("other.scales", { n: list.length - 1 })));
  box.append(...[held, trend, marks.length ? h("p.flags", null, marks) : null].filter(Boolean));
  return box;
}

BLOCKS.figures = (block) => {
  const groups = block.options.groups || [{ picks: block.picks }];
  return groups.map((group) => h("div.group", null, group.word ? h("h3.eyebrow", null, t(group.word)) : null, h("div.tiles", null, group.picks.map(tile))));
};

// What moved more than chance explains: intervals that do not touch, and counts by more than 1.96 roots of their sum.
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
    const moved = isCount ? Math.abs(told.value - before) > 1.96 * Math.sqrt(told.value + before) : told.low > earlier.high || told.high < earlier.low;
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
  return list.slice(0, LINES).map((series) => ({ metric, series, name: (by && series.b === by ? [member(series.d[by]), ...apart(series).map(([key, value]) => apartName(key, value))].join(" · ") : nameOf(pick, series)) || label(metric) }));
}

function trend(pick, options) {
  const { metric } = asPick(pick), definition = DATA.metrics[metric], box = h("div.panel", { "data-trend": metric });
  box.append(h("h3", null, definition ? definitionButton(metric, null) : metric));
  const lines = definition ? trendLines(pick, options) : [];
  if (!lines.length || !lines.some((one) => points(metric, one.series).length)) {
    box.append(h("p.soft", null, lines.length ? t("nothing.yet") : absence(metric)));
    return box;
  }
  const last = points(metric, lines[0].series).at(-1), summary = last ? `${lines[0].name}: ${inUnit(last.value, definition.unit)}, ${periodName(last.period)}` : "";
  const own = lines[0].series.o ? spanName({ span: lines[0].series.o }) : null;
  const note = [own, lines.length === 1 && lines[0].name !== label(metric) ? lines[0].name : null].filter(Boolean).join(" · ");
  if (note) box.append(h("p.variant", null, bdi(note)));
  box.append(figure(label(metric), summary, () => trendSpec(lines, period(), options && options.height), () => trendTable(lines)));
  return box;
}

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
      if (!told || told.value === null || cells.has(key) && (cells.get(key).denominator || 0) >= (told.denominator || 0)) continue;
      cells.set(key, told);
      members.set(key, (members.get(key) || 0) + (columns.length === 0 ? Math.abs(told.value) : 0));
    }
    columns.push({ pick, metric, definition, cells });
  }
  const names = [...members.keys()].sort((a, b) => members.get(b) - members.get(a));
  if (!names.length) return h("p.soft", null, columns.length ? absence(columns[0].metric) : t("nothing.yet"));
  const body = names.map((name) => h("tr", null, h("th", { scope: "row" }, bdi(member(name))), columns.map(({ metric, definition, cells }) => {
    const told = cells.get(name);
    if (!told) return h("td.n.empty", null, "–");
    const most = Math.max(...[...cells.values()].map((one) => Math.abs(one.value))) || 1;
    const bar = h("span.bar", { "aria-hidden": "true" });
    bar.style.width = `${(Math.abs(told.value) / most) * 100}%`;
    const cell = h("td.n", { "data-metric": metric, "data-member": name, "data-value": told.value, class: ["n", told.isSmall ? "is-small" : "", told.isFinal ? "" : "is-provisional"].join(" ") },
      h("span.figure", null, inUnit(told.value, definition.unit)), bar);
    return tipped(cell, () => describe(told, `${label(metric)} · ${member(name)}`));
  })));
  return h("div.wide", { tabindex: "0", role: "region", "aria-label": t(block.word) }, h("table.matrix", null,
    h("thead", null, h("tr", null, h("th", { scope: "col" }, dimension(by)), columns.map(({ metric, cells }) => h("th.n", { scope: "col" }, definitionButton(metric, null), cells.size ? null : h("span.soft", null, " " + absence(metric)))))),
    h("tbody", null, body)));
};

// How strong a cell of a heat map is coloured; text stays readable on it because the colour is never more than half there.
function heat(cell, share) {
  cell.style.background = `color-mix(in srgb, var(--accent) ${Math.round(Math.max(0, Math.min(1, share)) * 52)}%, transparent)`;
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

function partsChanged(was, now, unit) { return was === null && now === null ? "" : `${inUnit(was, unit)} → ${inUnit(now, unit)}`; }

BLOCKS.restated = (block) => {
  const rows = rowsOf(block), isAll = block.options.all, newest = rows.length ? rows[0].published_at : null;
  const shown = isAll ? rows : rows.filter((row) => row.kind === "restatement").slice(0, 12);
  const counts = rows.filter((row) => row.published_at === newest).reduce((sum, row) => ({ ...sum, [row.kind]: (sum[row.kind] || 0) + row.cells }), {});
  const lead = newest ? h("p", null, t("restated.lead", { restated: number(counts.restatement || 0), provisional: number(counts.provisional || 0), day: instant(newest) })) : null;
  if (!shown.length) return [lead, h("p.soft", null, t(rows.length ? "restated.none.final" : "restated.none"))];
  const unit = (name) => (DATA.metrics[name] || (DATA.names || {})[name])?.unit || "score";
  return [lead, plainTable({
    head: [t("metric"), t("days"), t("cells"), t("kind"), t("cause"), t("largest"), t("published")],
    rows: shown.map((row) => [label(row.metric), row.first_day === row.last_day ? day(row.first_day) : `${day(row.first_day)} – ${day(row.last_day)}`, row.cells,
      t("kind." + row.kind), row.cause.split(", ").map((one) => (has("cause." + one) ? t("cause." + one) : one)).join(", "), partsChanged(row.was, row.becomes, unit(row.metric)), instant(row.published_at)]),
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
  h("p", null, t("gates.passed", { n: number(DATA.gates.passed), not: number(DATA.gates.not_passed.length) })),
  DATA.gates.not_passed.length ? h("ul.sentences", null, DATA.gates.not_passed.map((one) => h("li", null, bdi(one)))) : null,
  h("p.soft", null, t("deliveries.lead", { n: number(DATA.deliveries), rows: number(DATA.quarantined) })),
];

BLOCKS.off = () => {
  const off = Object.entries(DATA.metrics).filter(([, one]) => !one.is_on), stale = Object.entries(DATA.metrics).filter(([, one]) => one.is_on && one.is_stale);
  const reason = (metric) => absence(metric), found = [h("p", null, t("metrics.lead", { on: Object.keys(DATA.metrics).length - off.length, off: off.length, stale: stale.length }))];
  if (stale.length) found.push(plainTable({ head: [t("metric"), t("through")], rows: stale.map(([name, one]) => [label(name), day(one.data_through)]), caption: t("stale") }));
  if (off.length) found.push(plainTable({ head: [t("metric"), t("why")], rows: off.map(([name]) => [label(name), reason(name)]), caption: t("metrics.off") }));
  return found;
};

BLOCKS.acceptances = () => (DATA.acceptances.length ? plainTable({
  head: [t("gate"), t("delivery"), t("reason"), t("who"), t("state"), t("until")],
  rows: DATA.acceptances.map((one) => [one.gate, [one.feed, one.delivery].filter(Boolean).join(" · "), one.reason || "", one.accepted_by || one.who || "", one.state || "", one.expires_on || one.until || ""].map((value) => String(value))),
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
  box.append(...[content].flat(3).filter(Boolean));
  return box;
}
