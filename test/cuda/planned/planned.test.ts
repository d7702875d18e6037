// cuDNN, asked without a device, has a plan for every convolution, batch norm and pooling of the networks on every
// generation of chips.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isBuilt, makeTable, planner, subjects } from './table.ts';

it.each(subjects)('the committed table has a row for every $what', ({ file, lines }) => {
  const rows = readFileSync(file, 'utf8').trimEnd().split('\n').slice(2);
  expect(rows.map((row) => row.trim().replace(/^(\S+\s+){6}/, ''))).toEqual(
    lines().map(({ pass, rest }) => `${pass} ${rest}`),
  );
});

describe.skipIf(!isBuilt)(`plans${isBuilt ? '' : ' (skipped: not built; `.ci/run cuda` builds and runs it)'}`, () => {
  it.each(subjects)(
    'every $what has one, and the table is the committed one',
    { timeout: 1_200_000 },
    async (subject) => {
      const { without, text } = await makeTable(subject);
      expect(without).toEqual([]);
      expect(text).toBe(readFileSync(subject.file, 'utf8'));
    },
  );

  it('describes no device where there is no driver', () => {
    const { status, stderr } = spawnSync(planner, ['--describe', '0'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, 'plans: this machine has no driver\n']);
  });
});
