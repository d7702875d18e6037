// The doctor's answer: every line says what was found or what mends it; the exit status says whether CUDA works.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/program.ts';
import { cli } from './cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'node-cudnn-doctor-'));
afterAll(() => rmSync(folder, { recursive: true }));
const hasDriver = existsSync('/proc/driver/nvidia/version');
const plugIn = Device.backends().find(({ name }) => name === 'cuda');

it('the exit status says whether CUDA works, and so does the last line', async () => {
  const { code, stdout } = await cli('doctor');
  expect([0, 1]).toContain(code);
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(code === 0 ? 'cuda:0 works' : 'cuda:0 does not work');
});

it('as JSON', async () => {
  const { code, stdout } = await cli('doctor', '--json');
  const { device, works, findings } = JSON.parse(stdout);
  expect(device).toBe('cuda:0');
  expect(works).toBe(code === 0);
  expect(findings[0]).toMatchObject({ what: 'plug-in', serves: plugIn?.available });
  for (const { what, found, serves } of findings)
    expect([typeof what, typeof found, typeof serves]).toEqual(['string', 'string', 'boolean']);
});

it('refuses what is no device', () => {
  expect(() => Device.findings('gpu')).toThrow(/unknown device 'gpu'/);
});

describe.skipIf(plugIn?.available)('a build without CUDA', () => {
  it('says why, and the command that mends it', () => {
    expect(Device.findings('cuda:0')).toEqual([
      {
        what: 'plug-in',
        serves: false,
        found: expect.stringMatching(/no CUDA back end: .*scripts\/setup --cuda.*npm run build:native/),
      },
    ]);
  });
});

describe.skipIf(!plugIn?.available)(
  `a build with CUDA${plugIn?.available ? '' : ' (skipped: this build has none)'}`,
  () => {
    const found = (what: string, libraries?: string) =>
      Device.findings('cuda:0', libraries === undefined ? {} : { libraries }).find((finding) => finding.what === what);

    it('finds cuBLASLt, its version and place', () => {
      expect(found('cuBLASLt')).toMatchObject({
        serves: true,
        found: expect.stringMatching(/^1[23]\.\d+, \/.*libcublasLt/),
      });
    });

    it('finds NVRTC, without which cuDNN compiles nothing', () => {
      expect(found('NVRTC')).toMatchObject({ serves: true, found: expect.stringContaining('libnvrtc') });
    });

    it.skipIf(!hasDriver)(`finds cuDNN${hasDriver ? '' : ' (skipped: cuDNN opens only where a driver is)'}`, () => {
      expect(found('cuDNN')).toMatchObject({
        serves: true,
        found: expect.stringMatching(/^9\.\d+\.\d+ .*\/.*libcudnn/),
      });
    });

    it.skipIf(hasDriver)('without a driver says so, and of cuDNN that it was not looked at', () => {
      expect(found('NVIDIA driver')).toMatchObject({
        serves: false,
        found: expect.stringContaining('driver is not installed'),
      });
      expect(found('cuDNN')).toMatchObject({ serves: false, found: expect.stringContaining('not looked at') });
    });

    it('a folder that is named is the only one that is searched', () => {
      expect(found('cuBLASLt', folder)).toMatchObject({
        serves: false,
        found: expect.stringContaining(`${folder}: has no libcublasLt`),
      });
      expect(found('cuDNN', folder)).toMatchObject({ serves: false, found: expect.stringContaining('not looked at') });
    });

    it('a library that is none is named with the loader’s words', () => {
      for (const major of [12, 13]) writeFileSync(join(folder, `libcublasLt.so.${major}`), 'not a library');
      expect(found('cuBLASLt', folder)?.found).toMatch(/libcublasLt\.so\.1[23]: .*(invalid ELF header|file too short)/);
    });
  },
);
