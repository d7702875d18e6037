// A plug-in that is missing, damaged or foreign is a reason in words; the addon itself works.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { type NativeBackendInfo, native } from '../../lib/native.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const addon = createRequire(import.meta.url)('node-gyp-build').path(root) as string;
const folder = mkdtempSync(join(tmpdir(), 'node-cudnn-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What an addon in a folder of its own says of its CPU back end, and that its reference can still be opened. */
function cpuOf(name: string, plugIn?: Buffer): NativeBackendInfo {
  const place = join(folder, name);
  mkdirSync(place);
  copyFileSync(addon, join(place, 'node_cudnn.node'));
  if (plugIn) writeFileSync(join(place, 'node_cudnn_cpu.so'), plugIn);
  const program =
    "const addon = require('./node_cudnn.node'); addon.openDevice('reference', {}).then(() => " +
    "console.log(JSON.stringify(addon.backends().find(({ name }) => name === 'cpu'))))";
  return JSON.parse(execFileSync(process.execPath, ['-e', program], { cwd: place, encoding: 'utf8' }));
}

it('missing', () => {
  const { available, reason } = cpuOf('missing');
  expect(available).toBe(false);
  expect(reason).toMatch(/no CPU back end.*scripts\/setup.*npm run build:native/);
});

it.each([0, 10, 64, 1000])('empty, or only its first %i bytes', (length) => {
  const { available, reason } = cpuOf(`first ${length}`, readFileSync(addon).subarray(0, length));
  expect(available).toBe(false);
  expect(reason).toMatch(/node_cudnn_cpu.so is incomplete; build it again/);
});

it('cut in the middle', () => {
  const whole = readFileSync(addon);
  expect(cpuOf('middle', whole.subarray(0, whole.length / 2)).reason).toContain('is incomplete');
});

it('no library', () => {
  const { available, reason } = cpuOf('text', Buffer.from('not a library, '.repeat(100)));
  expect(available).toBe(false);
  expect(reason).toMatch(/incomplete|could not be loaded/);
});

it('of another version', () => {
  const { available, reason } = cpuOf('foreign', readFileSync(addon));
  expect(available).toBe(false);
  expect(reason).toMatch(/could not be loaded|belongs to another version of node-cudnn/);
});

it('none of it touches the addon that is in use', () => {
  expect(native().backends()[0]?.available).toBe(true);
});
