// Registers what Grafana's libraries leave to the application: the options of a field, and the transformations.

import {
  createFieldConfigRegistry,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';

const STANDARD = {
  displayName: displayNameOverrideProcessor,
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  noValue: stringOverrideProcessor,
  color: identityOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  links: dataLinksOverrideProcessor,
};

// The options of each type of panel, and their defaults. Those that the dashboards override must be here.
const TABLE = { align: 'auto', cellOptions: { type: 'auto' }, filterable: false, inspect: false };
const PLOT = { hideFrom: { tooltip: false, viz: false, legend: false }, axisPlacement: 'auto' };
const CUSTOM = {
  table: { ...TABLE, width: undefined, minWidth: undefined },
  timeseries: {
    ...PLOT,
    axisBorderShow: false,
    axisCenteredZero: false,
    axisColorMode: 'text',
    axisLabel: '',
    barAlignment: 0,
    drawStyle: 'line',
    fillOpacity: 0,
    gradientMode: 'none',
    lineInterpolation: 'linear',
    lineStyle: { fill: 'solid' },
    lineWidth: 1,
    pointSize: 5,
    scaleDistribution: { type: 'linear' },
    showPoints: 'auto',
    spanNulls: false,
    stacking: { mode: 'none', group: 'A' },
    thresholdsStyle: { mode: 'off' },
  },
  'state-timeline': { ...PLOT, fillOpacity: 70, lineWidth: 0, spanNulls: false },
  stat: {},
  bargauge: {},
};

export const TYPES = Object.keys(CUSTOM);

function option(id, path, process) {
  const editor = () => null;
  return { id, path, name: id, description: id, process, editor, override: editor, shouldApply: () => true };
}

export function register() {
  standardFieldConfigEditorRegistry.setInit(() =>
    Object.entries(STANDARD).map(([id, process]) => option(id, id, process))
  );
  standardTransformersRegistry.setInit(() =>
    // Some are there twice.
    [...new Map(Object.values(standardTransformers).map((info) => [info.id, info])).values()].map((info) => ({
      ...info,
      editor: () => null,
      transformation: async () => info,
    }))
  );
}

// The configuration of a panel's fields with the defaults of its type.
export function withDefaults({ type, fieldConfig }) {
  const { defaults, overrides } = fieldConfig;
  return { defaults: { ...defaults, custom: { ...CUSTOM[type], ...defaults.custom } }, overrides };
}

export function registryOf({ type }) {
  const useCustomConfig = (builder) => {
    for (const name of Object.keys(CUSTOM[type])) {
      builder.addCustomEditor(option(name, name, identityOverrideProcessor));
    }
  };
  return createFieldConfigRegistry({ useCustomConfig }, type);
}
