// Charts that can be read point by point and zoomed, in the place of the server's pictures, from the same numbers.
// Drag to zoom all charts, double-click to show the whole range again.
"use strict";

(() => {
  const root = document.getElementById("charts");
  if (!root) return;
  const HEIGHT = 160;
  const figures = new Map([...root.querySelectorAll("[data-chart]")].map((figure) => [figure.dataset.chart, figure]));
  const plots = new Map();
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  let fetchedAt = 0;
  let isZooming = false;

  // Words, as the server writes them.
  const digits = (value) => {
    const magnitude = Math.abs(value);
    const text = value.toFixed(magnitude >= 100 || magnitude === 0 ? 0 : magnitude >= 10 ? 1 : 2);
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  };
  const percent = (value) => {
    const share = value * 100;
    if (share > 99 && share < 100) return Math.min(share, 99.99).toFixed(2).replace(/\.?0+$/, "") + " %";
    return (share > 0 && share < 10 ? share.toFixed(1) : share.toFixed(0)) + " %";
  };
  const size = (value) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (Math.abs(value) >= 1000 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
    return (unit === 0 ? value.toFixed(0) : digits(value)) + " " + units[unit];
  };
  const duration = (value) => (value < 1 ? digits(value * 1000) + " ms" : value < 10 ? digits(Math.round(value * 10) / 10) + " s" : value.toFixed(0) + " s");
  const words = { ratio: percent, bytes: size, bytes_per_second: (value) => size(value) + "/s", seconds: duration, number: digits };
  const inWords = (value, unit) => (value == null ? "–" : words[unit](Math.abs(value)));

  const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const withAlpha = (colour, share) => colour + Math.round(share * 255).toString(16).padStart(2, "0");

  // null is a gap; undefined is a slot that a slower sampler leaves out and that the line runs across.
  function bridged(values, longestStride) {
    const found = values.slice();
    let last = -1;
    values.forEach((value, index) => {
      if (value === null) return;
      if (last >= 0 && index - last <= longestStride) found.fill(undefined, last + 1, index);
      last = index;
    });
    return found;
  }

  function stackUp(series) {
    let below = null;
    return series.map((one) => {
      if (one.role !== "area") return one.values;
      below = one.values.map((value, slot) => (value === null && (below === null || below[slot] === null) ? null : (value || 0) + ((below && below[slot]) || 0)));
      return below;
    });
  }

  // What uPlot is given: a column of times, then one column per drawn line, with how each is drawn.
  function layOut(chart) {
    const lines = [{}];
    const bands = [];
    const data = [chart.times];
    const tops = stackUp(chart.series);
    let lastArea = null;
    const add = (values, line) => lines.push(line) && data.push(values) - 1;
    chart.series.forEach((one, index) => {
      const colour = styleOf(`--s${one.colour}`);
      const columns = tops[index].map((value) => (one.role === "below" && value !== null ? -value : value));
      const values = bridged(columns, one.longest_stride);
      if (one.high) {
        const edge = { width: 0, points: { show: false } };
        const high = add(bridged(one.high, one.longest_stride), edge);
        const low = add(bridged(one.low, one.longest_stride), edge);
        bands.push({ series: [high, low], fill: withAlpha(colour, 0.18) });
      }
      const isArea = one.role === "area";
      const isThin = one.role === "limit" || one.role === "peak";
      const at = add(values, {
        stroke: isThin ? styleOf("--quiet") : colour,
        width: isArea ? 0 : isThin ? 1 : 1.5,
        dash: one.role === "limit" ? [3, 4] : undefined,
        fill: isArea && lastArea === null ? withAlpha(colour, 0.7) : undefined,
        points: { show: false },
      });
      if (isArea && lastArea !== null) bands.push({ series: [at, lastArea], fill: withAlpha(colour, 0.7) });
      if (isArea) lastArea = at;
    });
    return { lines, bands, data };
  }

  function showValues(figure, chart, slot) {
    figure.querySelectorAll(".legend b").forEach((place, index) => {
      const one = chart.series[index];
      if (!one) return;
      const values = one.values;
      const value = slot == null ? values.findLast((candidate) => candidate !== null) : values[slot];
      place.textContent = inWords(value, chart.unit);
    });
    showGap(figure, chart, slot);
  }

  // Below the lines, from edge to edge.
  function drawGaps(plot, chart) {
    const { left, top, width, height } = plot.bbox;
    plot.ctx.save();
    plot.ctx.fillStyle = styleOf("--gap");
    chart.gaps.forEach(({ since, until }) => {
      const start = Math.max(plot.valToPos(since, "x", true), left);
      const end = Math.min(plot.valToPos(until, "x", true), left + width);
      if (end > start) plot.ctx.fillRect(start, top, end - start, height);
    });
    plot.ctx.restore();
  }

  function showGap(figure, chart, slot) {
    const at = slot == null ? null : chart.times[slot];
    const under = at === null ? undefined : chart.gaps.find(({ since, until }) => at >= since - chart.slot_seconds / 2 && at < until);
    figure.querySelector(".gap-words").textContent = under ? under.words : chart.gap_words;
    figure.querySelector(".gaps").hidden = !chart.gap_words;
  }

  function zoomAll(plot, key) {
    if (key !== "x" || isZooming) return;
    isZooming = true;
    const { min, max } = plot.scales.x;
    for (const { uplot } of plots.values()) if (uplot !== plot) uplot.setScale("x", { min, max });
    isZooming = false;
  }

  const isZoomed = (plot) => plot.scales.x.min > plot.data[0][0] || plot.scales.x.max < plot.data[0].at(-1);

  // As many labels as the server draws, at the same places.
  const splitsOf = ({ low, high }) => {
    const steps = low < 0 ? 4 : 2;
    return Array.from({ length: steps + 1 }, (_, index) => low + ((high - low) * index) / steps);
  };

  function draw(figure, entry) {
    const place = figure.querySelector(".plot");
    const { lines, bands, data } = layOut(entry.chart);
    const text = { stroke: styleOf("--quiet"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    const inUnit = (_, splits) => splits.map((value) => inWords(value, entry.chart.unit));
    figure.classList.add("is-drawn");
    const options = {
      width: place.clientWidth,
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { sync: { key: "host" }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { y: { range: () => [entry.chart.low, entry.chart.high] } },
      axes: [
        { ...text, size: 26, gap: 4, grid: { show: false }, values: times },
        { ...text, size: 66, grid: { stroke: styleOf("--grid"), width: 1 }, splits: () => splitsOf(entry.chart), values: inUnit },
      ],
      series: lines,
      bands,
      hooks: { drawAxes: [(plot) => drawGaps(plot, entry.chart)], setCursor: [(plot) => showValues(figure, entry.chart, plot.cursor.idx)], setScale: [zoomAll] },
    };
    entry.uplot = new uPlot(options, data, place);
    plots.set(entry.chart.id, entry);
  }

  function times(_, splits, __, ___, step) {
    const parts = step >= 86400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const format = new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: "UTC" });
    return splits.map((seconds) => format.format(new Date(seconds * 1000)));
  }

  const namesOf = (chart) => chart.series.map(({ name }) => name).join("\n");

  function drawOrUpdate(chart) {
    const figure = figures.get(chart.id);
    if (!figure) return;
    const known = plots.get(chart.id);
    if (known && namesOf(known.chart) === namesOf(chart)) {
      known.chart = chart;
      known.uplot.setData(layOut(chart).data);
    } else {
      known?.uplot.destroy();
      draw(figure, { chart });
    }
    showValues(figure, chart, plots.get(chart.id).uplot.cursor.idx);
  }

  function redrawAll() {
    for (const entry of plots.values()) {
      entry.uplot.destroy();
      draw(figures.get(entry.chart.id), entry);
    }
  }

  async function fetchAndDraw() {
    fetchedAt = Date.now();
    const answer = await fetch(root.dataset.series);
    const isAnyZoomed = [...plots.values()].some(({ uplot }) => isZoomed(uplot));
    if (answer.ok && !isAnyZoomed) (await answer.json()).charts.forEach(drawOrUpdate);
  }

  function refresh() {
    if (Date.now() - fetchedAt >= 1000 * Number(root.dataset.refreshSeconds)) fetchAndDraw();
  }

  function resize() {
    for (const [id, { uplot }] of plots) uplot.setSize({ width: figures.get(id).querySelector(".plot").clientWidth, height: HEIGHT });
  }

  document.addEventListener("watchdesk:fresh", refresh);
  scheme.addEventListener("change", redrawAll);
  addEventListener("resize", resize);
  fetchAndDraw();
})();
