// The tables of support: for every node that cuDNN may compute, chip and half type, how many ways it proposes; `-` where none is asked.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { batchNorms } from './batch-norms.ts';
import { type Column, convolutions, isPlanned, type Line } from './convolutions.ts';
import { poolings } from './poolings.ts';

const place = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Subject {
  readonly what: string;
  readonly file: string;
  /** What the lines hold behind the numbers. */
  readonly fields: string;
  readonly lines: () => readonly Line[];
}

export const subjects: readonly Subject[] = [
  {
    what: 'convolution of a training step or a prediction',
    file: place('plans.txt'),
    fields: 'pass; x; w; y; stride; padding; dilation; groups',
    lines: convolutions,
  },
  {
    what: 'batch norm of a training step',
    file: place('batch-norm-plans.txt'),
    fields: 'op; x',
    lines: batchNorms,
  },
  {
    what: 'pooling of a training step',
    file: place('pooling-plans.txt'),
    fields: 'op; x; y; kernel; stride; padding; whether padding counts',
    lines: poolings,
  },
];

export const planner = place('../../../build/cmake/planned/plans');
export const isBuilt = existsSync(planner);

/** From cuDNN itself where scripts/gpu-check met such a chip, else from data sheets. */
const descriptionOf = (chip: string) => [`${chip}.measured.json`, `${chip}.json`].map(place).find(existsSync) as string;

export const columns: readonly Column[] = ['sm_80', 'sm_90', 'sm_100'].flatMap((chip) =>
  ['float16', 'bfloat16'].map((dtype) => ({ chip, dtype })),
);

interface Answers {
  readonly version: string;
  readonly answers: readonly string[];
}

/** Of all lines, in their order; nothing for those that are not asked for. */
async function ask(column: Column, lines: readonly Line[]): Promise<Answers> {
  const { chip, dtype } = column;
  const asked = promisify(execFile)(planner, [
    place('../../../build/cmake/planned/driver_stub.so'),
    descriptionOf(chip),
  ]);
  const those = lines.filter((line) => isPlanned(line, column));
  asked.child.stdin?.end(those.map(({ pass, rest }) => `${pass} ${dtype} ${rest}\n`).join(''));
  const [version = '', ...answers] = (await asked).stdout.trimEnd().split('\n');
  return { version, answers: lines.map((line) => answers[those.indexOf(line)] ?? '') };
}

/** As many columns at a time as there are processors; first those of bfloat16, which take longest. */
async function askAll(lines: readonly Line[]): Promise<Answers[]> {
  const asked: Answers[] = [];
  const bfloat16First = [...columns].sort((a, b) => a.dtype.localeCompare(b.dtype));
  const queue = bfloat16First.values();
  const work = async () => {
    for (const column of queue) asked[columns.indexOf(column)] = await ask(column, lines);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return asked;
}

export interface Table {
  readonly version: string;
  readonly text: string;
  /** Nodes without any plan, as `chip dtype line`. */
  readonly without: readonly string[];
}

/** Builds at least one plan for every node on every chip: minutes. */
export async function makeTable(subject: Subject): Promise<Table> {
  const lines = subject.lines();
  const asked = await askAll(lines);
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
    `# ${version}: proposals (precompiled + compiled at run time) that it has for each ${subject.what}.`,
    `# Columns: ${columns.map(({ chip, dtype }) => `${chip} ${dtype}`).join(', ')}; ${subject.fields}.`,
  ];
  return { version, text: `${[...head, ...rows].join('\n')}\n`, without };
}
