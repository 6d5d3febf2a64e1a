// Times in the reader's zone, and charts in the reader's colours. The page is whole without this file.
"use strict";
(() => {
  // Airflow's page around this one has a theme of its own, which its reader chose.
  const pageAround = () => {
    try { return window.parent === window ? null : window.parent.document.documentElement; } catch { return null; }
  };
  const around = pageAround();
  const follow = () => {
    const theme = ["dark", "light"].find((name) => around.classList.contains(name));
    if (theme) document.documentElement.dataset.theme = theme;
  };
  if (around) follow();

  const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = inZone.format(new Date(time.dateTime));
  }

  for (const log of document.querySelectorAll("pre")) {
    const cause = [...log.querySelectorAll("mark")].pop(); // what follows it is mostly Spark going down
    log.scrollTop = cause ? cause.offsetTop - log.offsetTop - log.clientHeight / 2 : log.scrollHeight;
  }

  const pad = (number) => String(number).padStart(2, "0");
  // plotly draws a time as it is written, so it is written in the reader's zone.
  const local = (text) => {
    const at = new Date(text);
    const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    return `${day} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  };
  const isTime = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(value);
  const moved = (values) => (values && values.length && isTime(values[0]) ? values.map(local) : values);

  // Okabe and Ito's colours, which the colour-blind tell apart; yellow is left out, it is lost on white.
  const colours = ["#4f83cc", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#9a6fd0", "#7a9a01", "#8a8f98"];
  const named = { queued: "#8a8f98", starting: "#e69f00", running: "#4f83cc", settling: "#b08bd9", task: "#009e73", others: "#8a8f98" };

  const draw = (place) => {
    const figure = JSON.parse(place.dataset.figure);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    figure.data.forEach((trace) => {
      for (const key of ["x", "y", "base"]) trace[key] = moved(trace[key]);
      const own = named[trace.name];
      if (own) trace.marker = { color: own };
      if (trace.type === "sankey") trace.link.color = "rgba(128, 140, 160, 0.35)";
    });
    const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true, exponentformat: "none" };
    const layout = {
      margin: { l: 10, r: 10, t: 10, b: 10 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: colours,
      font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 12 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" },
      ...figure.layout,
      xaxis: { ...axis, ...figure.layout.xaxis }, yaxis: { ...axis, ...figure.layout.yaxis },
    };
    place.style.height = `${layout.height}px`;
    Plotly.react(place, figure.data, layout, { displaylogo: false, responsive: true, displayModeBar: false });
  };
  const drawAll = () => { if (window.Plotly) document.querySelectorAll("figure.chart").forEach(draw); };
  drawAll();
  if (around) new MutationObserver(() => { follow(); drawAll(); }).observe(around, { attributeFilter: ["class"] });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
