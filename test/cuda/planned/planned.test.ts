// cuDNN, asked without a device, has a plan for every convolution of the networks on every generation of chips.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { convolutions } from './convolutions.ts';
import { committed, isBuilt, makeTable, planner } from './table.ts';

const recorded = readFileSync(committed, 'utf8');

it('the committed table has a row for every convolution', () => {
  const rows = recorded.trimEnd().split('\n').slice(2);
  expect(rows.map((row) => row.trim().replace(/^(\S+\s+){6}/, ''))).toEqual(
    convolutions().map(({ pass, rest }) => `${pass} ${rest}`),
  );
});

describe.skipIf(!isBuilt)(`plans${isBuilt ? '' : ' (skipped: not built; `.ci/run cuda` builds and runs it)'}`, () => {
  it('every convolution has one, and the table of support is the committed one', { timeout: 600_000 }, async () => {
    const { without, text } = await makeTable();
    expect(without).toEqual([]);
    expect(text).toBe(recorded);
  });

  it('describes no device where there is no driver', () => {
    const { status, stderr } = spawnSync(planner, ['--describe', '0'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, 'plans: this machine has no driver\n']);
  });
});
