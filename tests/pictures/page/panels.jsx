// Draws a panel of each type that the dashboards use.

import { FieldType, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, useTheme2, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { StateTimeline } from './timeline.jsx';

function displayValues({ panel, frames, fieldConfig, theme }) {
  return getFieldDisplayValues({
    data: frames,
    fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'browser',
  });
}

function Stat({ panel, frames, fieldConfig, width, height }) {
  const theme = useTheme2();
  const { colorMode, graphMode, justifyMode, textMode, orientation } = panel.options;
  const values = displayValues({ panel, frames, fieldConfig, theme });
  return (
    <VizRepeater
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={frames}
      renderCounter={0}
      autoGrid
      orientation={orientation}
      width={width}
      height={height}
      itemSpacing={3}
      renderValue={({ value, width, height, count, alignmentFactors }) => (
        <BigValue
          value={value.display}
          alignmentFactors={alignmentFactors}
          count={count}
          width={width}
          height={height}
          colorMode={colorMode}
          graphMode={graphMode}
          justifyMode={justifyMode}
          textMode={textMode}
          theme={theme}
        />
      )}
    />
  );
}

function Bars({ panel, frames, fieldConfig, width, height }) {
  const theme = useTheme2();
  const { displayMode, minVizHeight, orientation, showUnfilled, valueMode } = panel.options;
  const values = displayValues({ panel, frames, fieldConfig, theme });
  return (
    <VizRepeater
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={frames}
      renderCounter={0}
      orientation={orientation}
      width={width}
      height={height}
      minVizHeight={minVizHeight}
      minVizWidth={8}
      maxVizHeight={300}
      itemSpacing={10}
      renderValue={({ value, width, height, orientation, alignmentFactors }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          orientation={orientation}
          displayMode={displayMode}
          showUnfilled={showUnfilled}
          valueDisplayMode={valueMode}
          namePlacement="auto"
          itemSpacing={10}
          theme={theme}
        />
      )}
    />
  );
}

function Table({ panel, frames, fieldConfig, width, height }) {
  const { cellHeight, showHeader, sortBy } = panel.options;
  return (
    <TableNG
      data={frames[0]}
      fieldConfig={fieldConfig}
      width={width}
      height={height}
      cellHeight={cellHeight}
      noHeader={!showHeader}
      sortBy={sortBy}
      enableVirtualization={false}
    />
  );
}

// Plots have no points that are not finite, such as a quantile of no requests.
function finite(frame) {
  const values = (field) => field.values.map((value) => (Number.isFinite(value) ? value : null));
  const replaced = (field) => (field.type === FieldType.number ? { ...field, values: values(field) } : field);
  return { ...frame, fields: frame.fields.map(replaced) };
}

function Lines({ panel, frames, range, width, height, markers }) {
  return (
    <TimeSeries
      frames={frames.map(finite)}
      timeRange={range}
      timeZone="browser"
      width={width}
      height={height}
      legend={panel.options.legend}
    >
      {(builder) => {
        builder.addHook('draw', markers);
        return null;
      }}
    </TimeSeries>
  );
}

function Timeline({ panel, ...rest }) {
  return <StateTimeline options={panel.options} {...rest} />;
}

const COMPONENTS = { stat: Stat, bargauge: Bars, table: Table, timeseries: Lines, 'state-timeline': Timeline };

export function PanelBody(props) {
  const { panel, frames, fieldConfig, height } = props;
  const Component = COMPONENTS[panel.type];
  const rows = frames.reduce((sum, frame) => sum + frame.length, 0);
  if (rows === 0 && panel.type !== 'stat') {
    return (
      <div className="no-value" style={{ height }}>
        {fieldConfig.defaults.noValue}
      </div>
    );
  }
  return <Component {...props} />;
}
