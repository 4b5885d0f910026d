/** One line of a chart: its name, and its values at equal distances; undefined means no value. */
export type Line = { name: string; values: readonly (number | undefined)[] };

/** A panel of a dashboard, with the results of its expressions. */
export type Panel = { title: string; unit: string; lines: readonly Line[] };

const size = { width: 480, height: 190 };
const plot = { left: 52, top: 30, width: 412, height: 108 };
const legendMax = 8;
const nameLengthMax = 17;
const colours = [
  ...['#3b82f6', '#f59e0b', '#10b981', '#ef4444'],
  ...['#8b5cf6', '#06b6d4', '#ec4899', '#84cc16'],
];

/**
 * Draws a dashboard as SVG, with its panels in two columns. Leaves out lines beyond eight in a
 * panel.
 */
export function dashboardSvg(title: string, panels: readonly Panel[]): string {
  const rows = Math.ceil(panels.length / 2);
  const [width, height] = [2 * size.width + 8, rows * (size.height + 8) + 32];
  const drawn = panels.map((panel, index) => {
    const x = (index % 2) * (size.width + 8);
    const y = 32 + Math.floor(index / 2) * (size.height + 8);
    return `<g transform="translate(${x} ${y})">${panelSvg(panel)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="10">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#f8fafc"/>`,
    `<text x="8" y="21" font-size="15" fill="#0f172a">${escaped(title)}</text>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function panelSvg({ title, unit, lines }: Panel): string {
  const shown = lines.slice(0, legendMax);
  const top = roundUp(Math.max(0, ...shown.flatMap(({ values }) => values.map((v) => v ?? 0))));
  const parts = [
    `<rect width="${size.width}" height="${size.height}" rx="4" fill="#fff" stroke="#e2e8f0"/>`,
    `<text x="8" y="18" font-size="12" fill="#0f172a">${escaped(title)}</text>`,
  ];
  for (const share of [0, 0.5, 1]) {
    const y = plot.top + plot.height * (1 - share);
    parts.push(
      `<path d="M${plot.left} ${y}h${plot.width}" stroke="#e2e8f0"/>`,
      `<text x="${plot.left - 4}" y="${y + 3}" text-anchor="end" fill="#64748b">${format(top * share, unit)}</text>`,
    );
  }
  shown.forEach(({ name, values }, index) => {
    const colour = colours[index % colours.length];
    parts.push(`<path d="${pathOf(values, top)}" fill="none" stroke="${colour}"/>`);
    const [x, y] = [8 + (index % 4) * 118, 158 + Math.floor(index / 4) * 15];
    parts.push(
      `<rect x="${x}" y="${y - 7}" width="7" height="7" fill="${colour}"/>`,
      `<text x="${x + 10}" y="${y}" fill="#334155">${escaped(shortened(name))}</text>`,
    );
  });
  if (shown.length === 0) parts.push(`<text x="220" y="88" fill="#94a3b8">No data</text>`);
  return parts.join('');
}

/** The end of a long name, which is the most specific part. */
function shortened(name: string): string {
  return name.length > nameLengthMax ? `…${name.slice(1 - nameLengthMax)}` : name;
}

/** The path of the line, interrupted where there is no value. */
function pathOf(values: Line['values'], top: number): string {
  const step = plot.width / Math.max(1, values.length - 1);
  let pen = 'M';
  return values
    .map((value, index) => {
      if (value === undefined || !Number.isFinite(value)) {
        pen = 'M';
        return '';
      }
      const x = Math.round(plot.left + index * step);
      const y = Math.round(plot.top + plot.height * (1 - value / top));
      const point = `${pen}${x} ${y}`;
      pen = 'L';
      return point;
    })
    .join('');
}

/** The smallest of 1, 2, 5, 10 … that is not below the value; 1 if there is no value. */
function roundUp(value: number): number {
  if (value <= 0 || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((each) => each * power >= value * 0.999) ?? 10;
  return factor * power;
}

function format(value: number, unit: string): string {
  const short = (number: number) => String(Number(number.toPrecision(3)));
  if (unit === 's') return value < 1 ? `${short(value * 1_000)} ms` : `${short(value)} s`;
  if (unit === 'percentunit') return `${short(value * 100)} %`;
  if (unit === 'bytes' || unit === 'Bps') {
    const suffix = unit === 'Bps' ? '/s' : '';
    if (value >= 2 ** 20) return `${short(value / 2 ** 20)} MiB${suffix}`;
    return value >= 1_024 ? `${short(value / 1_024)} KiB${suffix}` : `${short(value)} B${suffix}`;
  }
  return unit === 'reqps' ? `${short(value)}/s` : short(value);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
