// --compiled-engines reaches the device of every command that computes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Output } from '../../lib/cli/command.ts';
import { withDevice } from '../../lib/cli/common.ts';
import { configurationOf } from '../../lib/cli/configuration.ts';
import { train } from '../../lib/cli/run.ts';
import { Device } from '../../lib/program.ts';
import { testDevice } from '../train/tiny.ts';
import { cli, writePictures } from './cli.ts';

const log = Object.assign(new PassThrough().resume(), { isTTY: false }) as unknown as NodeJS.WriteStream;
const output: Output = { json: true, log, line: () => undefined, answer: () => undefined };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-compiled-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

it('of commands that open one', async () => {
  const open = vi.spyOn(Device, 'open');
  for (const engines of ['never', 'timed', 'always', undefined])
    await withDevice({ device: testDevice(), 'compiled-engines': engines }, async () => undefined);
  expect(open.mock.calls.map(([, options]) => options?.compiledEngines)).toEqual([
    ...['never', 'timed', 'always'],
    undefined,
  ]);
});

it('of a training run', async () => {
  const open = vi.spyOn(Device, 'open');
  const data = await writePictures(join(folder, 'pictures'));
  const configuration = configurationOf({ data, epochs: 1, 'batch-size': 6 });
  const machine = { device: testDevice(), threads: 1, 'compiled-engines': 'timed' };
  await train({ configuration, folder: join(folder, 'run'), ...machine }, output);
  expect(new Set(open.mock.calls.map(([, options]) => options?.compiledEngines))).toEqual(new Set(['timed']));
}, 60_000);

it.each(['train', 'evaluate', 'predict', 'bench'])('%s knows the flag', async (command) => {
  const { code, stderr } = await cli(command, '--compiled-engines', 'sometimes');
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining("--compiled-engines 'sometimes': choose one of never, timed, always"),
  });
});
