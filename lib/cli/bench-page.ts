// What `bench` measured, as a page with a bar for every pass of every layer, and as a trace for Perfetto.
import { bytesText } from '../graph/index.ts';
import type { ProfileRow } from '../plan.ts';
import { percent } from '../train/format.ts';
import { escapeHtml, page } from './html.ts';
import { type Layer, type Pass, passNames } from './layers.ts';
import type { BenchResult } from './measure.ts';

const style = `td { padding: 0 1em 0 0; white-space: nowrap } td.number { text-align: right }
.bar { height: 1em; min-width: 1px } .wide { width: 45% }
.forward { background: #4477aa } .dgrad { background: #ee6677 } .wgrad { background: #ccbb44 }
.backward { background: #aa3377 } .update { background: #bbbbbb } .op { background: #228833 }`;

export function benchPage(result: BenchResult, summary: string): string {
  const { model, batchSize, imageSize, dtype, ops, layers } = result;
  const title = `${model}, batch ${batchSize}, ${imageSize}x${imageSize}, ${dtype}`;
  const longestOp = Math.max(...ops.map(({ microseconds }) => microseconds));
  const opRows = ops.map(({ op, microseconds, share }) =>
    row([op, '', microseconds.toFixed(1), percent(share)], bar('op', microseconds / longestOp, '')),
  );
  const passes = layers.flatMap(passesOf);
  const longest = Math.max(...passes.map(({ pass }) => pass.microseconds.median));
  const layerRows = passes.map(({ name, kind, pass }) =>
    row(
      [name, kind, pass.microseconds.median.toFixed(1), percent(pass.ofCeiling, 0)],
      bar(kind, pass.microseconds.median / longest, details(pass)),
    ),
  );
  return page(
    title,
    style,
    `<pre>${escapeHtml(summary)}</pre>
<h2>Ops: microseconds of a step, share of all kernels</h2>
<table>${opRows.join('\n')}</table>
<h2>Layers: microseconds of a pass, share of the ceiling that bounds it</h2>
<table>${layerRows.join('\n')}</table>`,
  );
}

function passesOf(layer: Layer) {
  return passNames.flatMap((kind) => (layer[kind] ? [{ name: layer.name, kind, pass: layer[kind] }] : []));
}

function row([name = '', kind = '', ...numbers]: readonly string[], drawn: string): string {
  const cells = numbers.map((number) => `<td class="number">${number}</td>`).join('');
  return `<tr><td>${escapeHtml(name)}</td><td>${kind}</td>${cells}<td class="wide">${drawn}</td></tr>`;
}

function bar(kind: string, share: number, title: string): string {
  return `<div class="bar ${kind}" style="width: ${(100 * share).toFixed(2)}%" title="${escapeHtml(title)}"></div>`;
}

function details({ microseconds, gflops, gbPerSecond, bound, workspaceBytes, implementations }: Pass): string {
  const { p10, p90, n } = microseconds;
  const spread = `p10 ${p10.toFixed(1)}, p90 ${p90.toFixed(1)} us, n ${n}`;
  const rates = `${(gflops / 1000).toFixed(3)} TFLOP/s, ${gbPerSecond.toFixed(1)} GB/s, bound by ${bound}`;
  return `${spread}; ${rates}; workspace ${bytesText(workspaceBytes)}; ${implementations.join(' ')}`;
}

/** Nodes of one profiled step, one behind the other, in the Trace Event Format (Google, "complete events"). */
export function traceOf(profile: readonly ProfileRow[], process: string): object {
  let begin = 0;
  const traceEvents = profile.map(({ op, path, shapes, dtype, implementation, seconds }) => {
    const [ts, dur] = [1e6 * begin, 1e6 * seconds];
    begin += seconds;
    const args = { op, layer: path, shapes, dtype, implementation };
    return { name: path ? `${op} ${path}` : op, cat: op, ph: 'X', ts, dur, pid: 1, tid: 1, args };
  });
  const named = { name: 'process_name', ph: 'M', pid: 1, tid: 1, args: { name: process } };
  return { displayTimeUnit: 'ms', traceEvents: [named, ...traceEvents] };
}
