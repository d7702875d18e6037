// Every op of the CUDA back end at two small sizes. It is run with kernels that ThreadSanitizer watches (`.ci/run
// simulate`): a race between two threads of a kernel ends the process. What the ops compute is not looked at here.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { elements } from '../../lib/graph/index.ts';
import { Device } from '../../lib/program.ts';
import { cases } from '../ops/cases.ts';
import { drawNumbers, type Numbers, type OpCase } from '../ops/operands.ts';
import { runCase } from '../ops/run-case.ts';
import { presence } from '../support/devices.ts';
import { Random } from '../support/random.ts';

const { available, reason } = await presence('cuda');
const ops = [...new Set(cases.flatMap(({ nodes }) => nodes.map(({ op }) => op)))].sort();

let cuda: Device | undefined;
beforeAll(async () => {
  if (available) cuda = await Device.open('cuda:0');
});
afterAll(() => cuda?.close());

function sizeOf({ inputs, nodes }: OpCase): number {
  const operands = [inputs, ...nodes.map(({ outputs }) => outputs)].flatMap((given) => Object.values(given));
  return operands.reduce((sum, { shape }) => sum + elements(shape), 0);
}

/** The smallest, and the one in the middle: whole vectors and several blocks are there, or nothing is. */
function chosen(op: string): OpCase[] {
  const list = cases.filter(({ nodes }) => nodes.some((node) => node.op === op)).sort((a, b) => sizeOf(a) - sizeOf(b));
  return [list[0], list[list.length >> 1]] as OpCase[];
}

it.for(ops)('%s', async (op, { skip }) => {
  if (!cuda) return skip(reason ?? 'there is no CUDA back end');
  if (!cuda.features.has(`op:${op}`)) return skip(`the device cuda lacks ${op}`);
  for (const opCase of chosen(op)) {
    const random = new Random(opCase.title);
    const numbers = [0, 1].map(() => drawNumbers(opCase, random, false, 'float32')) as [Numbers, Numbers];
    const { outputs } = await runCase(cuda, opCase, 'float32', numbers, 'in place');
    expect(outputs.size).toBeGreaterThan(0);
  }
});
