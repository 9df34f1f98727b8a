// Draws one dashboard. `window.draw` is called by draw.mjs.

import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  rangeUtil,
  transformDataFrame,
} from '@grafana/data';
import {
  GlobalStyles,
  Icon,
  LinkButton,
  PanelChrome,
  RefreshPicker,
  ThemeContext,
  TimeRangePicker,
} from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';

import './page.css';
import { register, registryOf, withDefaults } from './fields.js';
import { PanelBody } from './panels.jsx';
import { annotations, query } from './prometheus.js';

// Grafana's grid: 24 columns, and rows of 30 pixels, with gaps of 8 pixels.
const [COLUMNS, ROW, GAP, MARGIN] = [24, 30, 8, 16];
const nothing = () => {};
const theme = createTheme({ colors: { mode: 'dark' } });

function place({ x, y, w, h }, pageWidth) {
  const column = (pageWidth - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS;
  const size = (count, unit) => count * unit + (count - 1) * GAP;
  return { left: x * (column + GAP), top: y * (ROW + GAP), width: size(w, column), height: size(h, ROW) };
}

// Dashed lines at the times of annotations, with a triangle on the axis.
function markersOf(marked) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { color, times } of marked) {
      ctx.strokeStyle = ctx.fillStyle = theme.visualization.getColorByName(color);
      for (const time of times) {
        const [x, bottom] = [Math.round(plot.valToPos(time, 'x', true)), bbox.top + bbox.height];
        ctx.setLineDash([5, 5]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bottom);
        ctx.stroke();
        ctx.beginPath();
        ctx.moveTo(x - 5, bottom + 5);
        ctx.lineTo(x + 5, bottom + 5);
        ctx.lineTo(x, bottom);
        ctx.fill();
      }
    }
    ctx.restore();
  };
}

async function load(panel, variables, range, width) {
  const asked = await query(panel, variables, range, width);
  const frames = await firstValueFrom(transformDataFrame(panel.transformations ?? [], asked));
  const fieldConfig = withDefaults(panel);
  const options = { fieldConfig, fieldConfigRegistry: registryOf(panel), theme, timeZone: 'browser' };
  const data = applyFieldOverrides({ ...options, data: frames, replaceVariables: (text) => text });
  cacheFieldDisplayNames(data);
  return { panel, fieldConfig, frames: data };
}

function Variable({ label, text }) {
  return (
    <div className="variable">
      <span className="name">{label}</span>
      <span className="value">
        {text}
        <Icon name="angle-down" />
      </span>
    </div>
  );
}

function Header({ dashboard, variables, range }) {
  return (
    <header>
      <div className="title">
        <h1>{dashboard.title}</h1>
        <TimeRangePicker
          value={range}
          timeZone="browser"
          onChange={nothing}
          onChangeTimeZone={nothing}
          onMoveBackward={nothing}
          onMoveForward={nothing}
          onZoom={nothing}
        />
        <RefreshPicker value={dashboard.refresh} onRefresh={nothing} onIntervalChanged={nothing} />
      </div>
      <div className="controls">
        {variables.map((variable) => (
          <Variable key={variable.label} {...variable} />
        ))}
        {dashboard.links.map(({ title, tooltip }) => (
          <LinkButton key={title} icon="apps" variant="secondary" fill="outline" size="sm" tooltip={tooltip}>
            {title}
          </LinkButton>
        ))}
      </div>
    </header>
  );
}

function Panel({ panel, frames, fieldConfig, range, position, markers }) {
  const { width, height, ...rest } = position;
  return (
    <div className="cell" style={{ ...rest, width, height }}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        width={width}
        height={height}
        padding={panel.type === 'table' ? 'none' : 'md'}
      >
        {(width, height) => <PanelBody {...{ panel, frames, fieldConfig, range, width, height, markers }} />}
      </PanelChrome>
    </div>
  );
}

window.draw = async ({ dashboard, now, values, from, to, header, width }) => {
  register();
  // The range of the dashboard, such as the last 24 hours, ends at the last sample.
  const { from: start, to: current } = rangeUtil.convertRawToRange(dashboard.time);
  const seconds = Math.round(current.diff(start) / 1000);
  const range = { from: dateTime((now - seconds) * 1000), to: dateTime(now * 1000), raw: dashboard.time };
  const variables = { __range: `${seconds}s` };
  const shown = dashboard.templating.list.map(({ name, label, allValue }) => {
    variables[name] = values[name]?.value ?? allValue;
    return { label, text: values[name]?.text ?? 'All' };
  });
  const panels = dashboard.panels.filter(({ gridPos }) => gridPos.y >= from && gridPos.y < to);
  const rows = panels.filter(({ type }) => type === 'row');
  const marked = await Promise.all(
    dashboard.annotations.list
      .filter(({ enable }) => enable)
      .map(async (annotation) => ({
        color: annotation.iconColor,
        times: await annotations(annotation, variables, range),
      }))
  );
  const position = ({ gridPos }) => place({ ...gridPos, y: gridPos.y - from }, width);
  const loaded = await Promise.all(
    panels.filter(({ type }) => type !== 'row').map((panel) => load(panel, variables, range, position(panel).width))
  );
  const height = Math.max(...panels.map((panel) => position(panel).top + position(panel).height));
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {header && <Header dashboard={dashboard} variables={shown} range={range} />}
      <main style={{ height }}>
        {rows.map((row) => (
          <div key={row.id} className="cell row" style={position(row)}>
            <Icon name="angle-down" size="lg" /> {row.title}
          </div>
        ))}
        {loaded.map((one) => (
          <Panel key={one.panel.id} {...one} range={range} position={position(one.panel)} markers={markersOf(marked)} />
        ))}
      </main>
    </ThemeContext.Provider>
  );
};
