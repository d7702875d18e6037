// The figure of UnitPercentiles as SVG: one panel for each model, median and band over the steps.
import type { PercentilePoint } from './percentiles.ts';

export interface PercentilePanel {
  readonly title: string;
  readonly points: readonly PercentilePoint[];
}

const panel = { width: 320, height: 200, left: 44, top: 32, gap: 24, bottom: 40 };
const ink = { text: '#333', axis: '#999', line: '#1f5fa8', band: '#1f5fa8' };

interface Scales {
  x(step: number): number;
  y(value: number): number;
}

/** Panels side by side on common axes, so that they can be compared. */
export function percentilesFigure(panels: readonly PercentilePanel[], caption: string): string {
  const all = panels.flatMap(({ points }) => points);
  const steps = Math.max(1, ...all.map(({ step }) => step));
  const [low, high] = range(all.flatMap(({ percentiles }) => percentiles));
  const width = panel.left + panels.length * (panel.width + panel.gap);
  const height = panel.top + panel.height + panel.bottom;
  const drawn = panels.map((content, i) => {
    const left = panel.left + i * (panel.width + panel.gap);
    const scales: Scales = {
      x: (step) => left + (step / steps) * panel.width,
      y: (value) => panel.top + ((high - value) / (high - low)) * panel.height,
    };
    return [...axes(scales, content.title, steps, [low, high]), ...curves(scales, content.points)].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<title>${caption}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...drawn,
    text(width / 2, height - 6, caption, 'middle'),
    '</svg>',
    '',
  ].join('\n');
}

function curves({ x, y }: Scales, points: readonly PercentilePoint[]): string[] {
  const path = (which: 0 | 1 | 2) =>
    points.map(({ step, percentiles }) => `${round(x(step))},${round(y(percentiles[which]))}`);
  const band = [...path(0), ...path(2).toReversed()].join(' ');
  return [
    `<polygon points="${band}" fill="${ink.band}" fill-opacity="0.2"/>`,
    `<polyline points="${path(1).join(' ')}" fill="none" stroke="${ink.line}" stroke-width="1.5"/>`,
  ];
}

function axes({ x, y }: Scales, title: string, steps: number, [low, high]: readonly [number, number]): string[] {
  const [left, right, bottom] = [x(0), x(steps), y(low)];
  return [
    text((left + right) / 2, panel.top - 12, title, 'middle', 'font-weight="bold"'),
    ...[low, (low + high) / 2, high].flatMap((value) => [
      `<line x1="${left}" y1="${round(y(value))}" x2="${right}" y2="${round(y(value))}" stroke="${ink.axis}" stroke-opacity="0.4"/>`,
      text(left - 5, y(value) + 4, String(Number(value.toPrecision(2))), 'end'),
    ]),
    text(left, bottom + 15, '0', 'middle'),
    text(right, bottom + 15, String(steps), 'middle'),
  ];
}

function text(x: number, y: number, content: string, anchor: string, more = ''): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${ink.text}" ${more}>${safe}</text>`;
}

/** From the least to the largest value, widened to a range where they are equal. */
function range(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low < high ? [low, high] : [low - 1, high + 1];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
