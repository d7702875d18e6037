// docs/ops.md is the one table of ops: the reference back end has exactly these; a family has one file name in every room.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device } from '../../lib/program.ts';
import { cases } from './cases.ts';

const root = new URL('../../', import.meta.url);
const rows = readFileSync(new URL('docs/ops.md', root), 'utf8').matchAll(/^\| (\w+) \| `(\w+)` \|/gm);
const table = Array.from(rows, ([, family = '', op = '']) => ({ family, op }));

let reference: Device;
beforeAll(async () => {
  reference = await Device.open('reference');
});
afterAll(() => reference.close());

it('the reference back end has exactly the ops of docs/ops.md', () => {
  const known = [...reference.features].filter((feature) => feature.startsWith('op:'));
  expect(known.sort()).toEqual(table.map(({ op }) => `op:${op}`).sort());
});

it('every op has a case', () => {
  const covered = new Set(cases.flatMap(({ nodes }) => nodes.map(({ op }) => op)));
  expect(table.map(({ op }) => op).filter((op) => !covered.has(op))).toEqual([]);
});

it('the CUDA back end has every op of the CPU back end', () => {
  const [cpu, cuda] = ['cpu', 'cuda'].map((room) => {
    const source = readFileSync(new URL(`native/backend/${room}/ops.cc`, root), 'utf8');
    return Array.from(source.matchAll(/\{"(\w+)", prepare_\1\}/g), ([, op]) => op);
  });
  expect(cpu).toContain('conv2d');
  expect(cpu?.filter((op) => !cuda?.includes(op))).toEqual([]);
});

// What serves float16 alone.
const notOnCpu = ['loss_scale', 'snapshot'];

it('a family has the same file name in every room', () => {
  for (const { room, extension, without } of [
    { room: 'lib/ops/', extension: '.ts', without: [] },
    { room: 'native/backend/reference/', extension: '.cc', without: [] },
    { room: 'native/backend/cpu/', extension: '.cc', without: notOnCpu },
  ] as { room: string; extension: string; without: string[] }[]) {
    const files = readdirSync(new URL(room, root));
    const families = new Set(table.map(({ family }) => family).filter((family) => !without.includes(family)));
    expect(files).toEqual(expect.arrayContaining([...families].map((family) => family + extension)));
  }
});
