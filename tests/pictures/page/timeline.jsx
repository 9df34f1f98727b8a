// A state timeline. Grafana's own is not in its libraries, so this one is drawn here, with Grafana's axes, colours
// and legend.

import { fieldColorModeRegistry, FieldType, getFieldDisplayName, MappingType } from '@grafana/data';
import { UPlotChart, UPlotConfigBuilder, useTheme2, VizLayout, VizLegend } from '@grafana/ui';
import { useMemo } from 'react';

const FONT_SIZE = 12;

// The states of a series: when each begins and ends, merged while the value stays the same.
function states(times, field, interval) {
  const merged = [];
  times.forEach((time, index) => {
    const value = field.values[index];
    const last = merged.at(-1);
    const end = time + interval;
    if (last && last.value === value && time <= last.end) {
      last.end = end;
    } else {
      merged.push({ value, start: time, end });
    }
  });
  return merged;
}

function draw(rows, { rowHeight, alignValue }, custom, theme, annotations) {
  return (plot) => {
    const { ctx, bbox } = plot;
    const height = bbox.height / rows.length;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `500 ${FONT_SIZE * devicePixelRatio}px ${theme.typography.fontFamily}`;
    ctx.textBaseline = 'middle';
    ctx.textAlign = alignValue;
    rows.forEach(({ field, states }, row) => {
      const top = bbox.top + height * (row + (1 - rowHeight) / 2);
      for (const { value, start, end } of states) {
        const display = field.display(value);
        const left = Math.max(plot.valToPos(start, 'x', true), bbox.left);
        const width = Math.min(plot.valToPos(end, 'x', true), bbox.left + bbox.width) - left;
        ctx.globalAlpha = custom.fillOpacity / 100;
        ctx.fillStyle = display.color;
        ctx.fillRect(left, top, width, height * rowHeight);
        ctx.globalAlpha = 1;
        if (ctx.measureText(display.text).width + 8 < width) {
          ctx.fillStyle = theme.colors.getContrastText(display.color, 3);
          ctx.fillText(display.text, left + 4, top + (height * rowHeight) / 2);
        }
      }
    });
    ctx.restore();
    annotations(plot);
  };
}

function legendItems(fields, theme) {
  const seen = new Map();
  for (const field of fields) {
    for (const value of new Set(field.values)) {
      const { text, color, numeric } = field.display(value);
      seen.set(numeric, { label: text, color, yAxis: 1 });
    }
  }
  return [...seen].sort(([a], [b]) => a - b).map(([, item]) => item);
}

export function StateTimeline({ frames, options, range, width, height, markers }) {
  const theme = useTheme2();
  const rows = useMemo(
    () =>
      frames.map((frame) => {
        const time = frame.fields.find((field) => field.type === FieldType.time);
        const field = frame.fields.find((field) => field.type === FieldType.number);
        const name = getFieldDisplayName(field, frame, frames);
        return { name, field, states: states(time.values, field, time.config.interval) };
      }),
    [frames]
  );
  const config = useMemo(() => {
    const builder = new UPlotConfigBuilder('browser');
    const bounds = [range.from.valueOf(), range.to.valueOf()];
    builder.addScale({ scaleKey: 'x', isTime: true, orientation: 0, direction: 1, range: () => bounds });
    builder.addScale({ scaleKey: 'y', orientation: 1, direction: -1, range: () => [0, rows.length] });
    builder.addAxis({
      scaleKey: 'x',
      isTime: true,
      placement: 'bottom',
      timeZone: 'browser',
      theme,
      grid: { show: true },
    });
    builder.addAxis({
      scaleKey: 'y',
      placement: 'left',
      theme,
      grid: { show: false },
      ticks: { show: false },
      gap: 15,
      splits: () => rows.map((_, index) => index + 0.5),
      values: () => rows.map(({ name }) => name),
    });
    builder.addSeries({ scaleKey: 'y', pathBuilder: () => null, pointsBuilder: () => null, theme });
    builder.addHook('draw', draw(rows, options, rows[0].field.config.custom, theme, markers));
    return builder;
  }, [rows, options, range, theme, markers]);
  const data = [[range.from.valueOf(), range.to.valueOf()], [0, 1]];
  const items = legendItems(rows.map(({ field }) => field), theme);
  const legend = options.legend.showLegend ? (
    <VizLayout.Legend placement={options.legend.placement}>
      <VizLegend placement={options.legend.placement} displayMode={options.legend.displayMode} items={items} readonly />
    </VizLayout.Legend>
  ) : null;
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(width, height) => <UPlotChart config={config} data={data} width={width} height={height} />}
    </VizLayout>
  );
}
