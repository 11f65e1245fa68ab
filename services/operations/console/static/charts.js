// Draws each .chart from its data; the figures themselves stand beside it as text.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const style = getComputedStyle(document.body);
  const ink = style.color;
  const charts = [...document.querySelectorAll(".chart")].map((place) => {
    const series = Object.entries(JSON.parse(place.dataset.series)).map(([plant, points]) => ({
      name: plant,
      type: "line",
      showSymbol: points.length < 3,
      data: points.map(([when, value]) => [when, Number(value)]),
    }));
    const chart = echarts.init(place, null, { renderer: "canvas" });
    chart.setOption({
      animation: false,
      useUTC: true,
      textStyle: { color: ink },
      grid: { left: 48, right: 12, top: 28, bottom: 24 },
      legend: { top: 0, textStyle: { color: ink } },
      tooltip: { trigger: "axis", renderMode: "richText" },
      xAxis: { type: "time", axisLabel: { color: ink } },
      yAxis: { type: "value", axisLabel: { color: ink }, minInterval: 0 },
      series,
    });
    return chart;
  });
  window.addEventListener("resize", () => charts.forEach((chart) => chart.resize()));
});
