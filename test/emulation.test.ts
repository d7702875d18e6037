// bfloat16 without instructions for it: oneDNN is told to ignore them, in a process of its own.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { Device } from '../lib/program.ts';

const main = fileURLToPath(new URL('../lib/cli/main.ts', import.meta.url));

it('bfloat16 is emulated on plain AVX-512, with a warning', async ({ skip }) => {
  const device = await Device.open('cpu');
  await device.close();
  if (!device.features.has('dtype:bfloat16')) skip('this processor has no AVX-512');
  const options = ['--amp-dtype', 'bfloat16', '--batch-size', '2', '--json'];
  const env = { ...process.env, ONEDNN_MAX_CPU_ISA: 'AVX512_CORE' };
  const command = ['--import', 'tsx', main, 'summary', 'cifar-resnet20', '--device', 'cpu', ...options];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, command, { env });
  expect(stderr).toContain("device 'cpu' has no instructions for bfloat16 and emulates it");
  expect(JSON.parse(stdout)).toMatchObject({ parameters: 269722 });
});
