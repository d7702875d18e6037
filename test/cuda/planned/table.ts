// The table of support: for every convolution, chip and half type, how many ways cuDNN proposes; `-` where none is asked.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { convolutions, isPlanned, type Line } from './convolutions.ts';

const place = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export const committed = place('plans.txt');
export const planner = place('../../../build-cuda/Release/plans');
export const isBuilt = existsSync(planner);

/** From cuDNN itself where scripts/gpu-check met such a chip, else from data sheets. */
const descriptionOf = (chip: string) => [`${chip}.measured.json`, `${chip}.json`].map(place).find(existsSync) as string;

export const columns = ['sm_80', 'sm_90', 'sm_100'].flatMap((chip) =>
  ['float16', 'bfloat16'].map((dtype) => ({ chip, dtype })),
);

interface Answers {
  readonly version: string;
  readonly answers: readonly string[];
}

/** Of all lines, in their order; nothing for those that are not asked for. */
function ask(chip: string, dtype: string, lines: readonly Line[]): Answers {
  const asked = lines.filter((line) => isPlanned(line, dtype));
  const input = asked.map(({ pass, rest }) => `${pass} ${dtype} ${rest}\n`).join('');
  const stub = place('../../../build-cuda/Release/driver_stub.so');
  const { status, stdout, stderr } = spawnSync(planner, [stub, descriptionOf(chip)], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`plans ended with ${status}: ${stderr}`);
  const [version = '', ...answers] = stdout.trimEnd().split('\n');
  return { version, answers: lines.map((line) => answers[asked.indexOf(line)] ?? '') };
}

export interface Table {
  readonly version: string;
  readonly text: string;
  /** Convolutions without any plan, as `chip dtype line`. */
  readonly without: readonly string[];
}

/** Builds at least one plan for every convolution on every chip: minutes. */
export function makeTable(): Table {
  const lines = convolutions();
  const asked = columns.map(({ chip, dtype }) => ask(chip, dtype, lines));
  const version = asked[0]?.version ?? '';
  const without = columns.flatMap(({ chip, dtype }, i) =>
    lines
      .filter((_, row) => asked[i]?.answers[row]?.endsWith(' none'))
      .map((l) => `${chip} ${dtype} ${l.pass} ${l.rest}`),
  );
  const count = (answer = '') => answer.split(' ', 2).join('+') || '-';
  const rows = lines.map(
    ({ pass, rest }, row) => `${asked.map(({ answers }) => count(answers[row]).padStart(6)).join('')}  ${pass} ${rest}`,
  );
  const head = [
    `# ${version}: proposals (precompiled + compiled at run time) that it has for each convolution of a training step or a prediction.`,
    `# Columns: ${columns.map(({ chip, dtype }) => `${chip} ${dtype}`).join(', ')}; pass; x; w; y; stride; padding; dilation; groups.`,
  ];
  return { version, text: `${[...head, ...rows].join('\n')}\n`, without };
}
