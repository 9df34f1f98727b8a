// Queries of a panel, and their answers as data frames in the shape that Grafana's Prometheus data source gives
// them.

import { FieldType, rangeUtil, toDataFrame } from '@grafana/data';

// `timeInterval` of deploy/grafana/provisioning/datasources/prometheus.yaml.
const SCRAPE_INTERVAL = '1m';

async function ask(path, parameters) {
  const response = await fetch(`/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const answer = await response.json();
  if (answer.status !== 'success') {
    throw new Error(`${parameters.query}: ${answer.error}`);
  }
  return answer.data.result;
}

export function interpolate(text, variables) {
  return Object.entries(variables).reduce(
    (text, [name, value]) => text.replaceAll(`$${name}`, value).replaceAll(`\${${name}}`, value),
    text
  );
}

function legend(format, labels) {
  if (!format || format === '__auto') {
    const pairs = Object.entries(labels).filter(([name]) => name !== '__name__');
    return `{${pairs.map(([name, value]) => `${name}="${value}"`).join(', ')}}`;
  }
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');
}

// A number of Prometheus, which writes "NaN" and "+Inf".
function number(text) {
  return text.endsWith('Inf') ? Number(`${text.replace('Inf', '')}Infinity`) : Number(text);
}

function series(target, { metric, values }, interval) {
  const { __name__, ...labels } = metric;
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: values.map(([time]) => time * 1000), config: { interval } },
      {
        name: 'Value',
        type: FieldType.number,
        values: values.map(([, value]) => number(value)),
        labels,
        config: { displayNameFromDS: legend(target.legendFormat, metric) },
      },
    ],
  });
}

// One frame for all series of a query: a column for each label and one for the value.
function table(target, result, isOnly) {
  const names = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const column = (name) => ({
    name,
    type: FieldType.string,
    config: { filterable: true },
    values: result.map(({ metric }) => metric[name] ?? ''),
  });
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000) },
      ...names.map(column),
      {
        name: isOnly ? 'Value' : `Value #${target.refId}`,
        type: FieldType.number,
        values: result.map(({ value }) => number(value[1])),
      },
    ],
  });
}

export async function query(panel, variables, range, width) {
  const tables = panel.targets.filter((target) => target.format === 'table').length;
  const frames = panel.targets.map(async (target) => {
    if (target.instant) {
      const expr = interpolate(target.expr, variables);
      const result = await ask('query', { query: expr, time: range.to.unix() });
      if (target.format === 'table') {
        return result.length > 0 ? [table(target, result, tables === 1)] : [];
      }
      return result.map(({ metric, value }) => series(target, { metric, values: [value] }));
    }
    const lowest = target.interval || panel.interval || SCRAPE_INTERVAL;
    const points = panel.maxDataPoints ?? Math.round(width);
    const { interval, intervalMs } = rangeUtil.calculateInterval(range, points, lowest);
    const scrape = rangeUtil.intervalToMs(SCRAPE_INTERVAL);
    const rate = Math.max(intervalMs + scrape, 4 * scrape) / 1000;
    const expr = interpolate(target.expr, { ...variables, __rate_interval: `${rate}s`, __interval: interval });
    const step = intervalMs / 1000;
    const align = (time) => Math.floor(time.unix() / step) * step;
    const result = await ask('query_range', { query: expr, start: align(range.from), end: align(range.to), step });
    return result.map((one) => series(target, one, intervalMs));
  });
  return (await Promise.all(frames)).flat();
}

// The times, in milliseconds, that an annotation whose values are times marks.
export async function annotations(annotation, variables, range) {
  const expr = interpolate(annotation.expr, variables);
  const [start, end] = [range.from.unix(), range.to.unix()];
  const step = Math.max(rangeUtil.intervalToMs(annotation.step) / 1000, Math.ceil((end - start) / 10_000));
  const result = await ask('query_range', { query: expr, start, end, step });
  const times = new Set(result.flatMap(({ values }) => values.map(([, value]) => Number(value))));
  return [...times].filter((time) => time >= range.from.valueOf() && time <= range.to.valueOf());
}
