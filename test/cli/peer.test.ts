// bench --peer with a stand-in for Python: who takes turns, what they are told, and what becomes of who does not start.
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Contestant } from '../../lib/cli/contestant.ts';
import type { Comparison } from '../../lib/cli/peer.ts';
import { testDevice } from '../train/tiny.ts';
import { cli, json } from './cli.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-peer-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Speaks the protocol of bench/peers/pytorch_bench.py, says that each step takes 5 s, and notes what it was told. */
async function standIn(name: string, before: string): Promise<{ file: string; told(): Promise<string> }> {
  const [file, notes] = [join(folder, name), join(folder, `${name}.txt`)];
  const program = `#!${process.execPath}
const given = process.argv.slice(3).join(' ');
require('node:fs').appendFileSync(${JSON.stringify(notes)}, given + '\\n');
${before}
console.log('{"ready":"stand-in","version":"0.0"}');
const answer = (line) => (line === 'memory' ? { startBytes: 5, peakBytes: 25 } : Array(Number(line)).fill(5000));
require('node:readline').createInterface(process.stdin).on('line', (line) => console.log(JSON.stringify(answer(line))));
`;
  await writeFile(file, program);
  await chmod(file, 0o755);
  return { file, told: () => readFile(notes, 'utf8') };
}

const flags = ['--batch-size', 2, '--image-size', 8, '--steps', 10, '--rounds', 2, '--device', testDevice()];

describe('bench --peer', () => {
  it('tells PyTorch all that it tells ours, and leaves out who does not start', async () => {
    const python = await standIn('python', `if (given.includes('--variant compile')) process.exit(1);`);
    const record = join(folder, 'record');
    const precision = ['--amp-dtype', 'float32', '--tf32', '--deterministic', '--threads', 1];
    const places = [
      '--python',
      python.file,
      '--peer-device',
      'cuda:3',
      '--record',
      record,
      '--compiled-engines',
      'timed',
    ];
    const result = await json<Comparison>('bench', '--peer', 'pytorch', ...flags, ...precision, ...places, '--unfused');
    const told = (await python.told()).trim().split('\n');
    const common =
      '--model cifar-resnet20 --batch-size 2 --image-size 8 --amp-dtype float32 --threads 1 --tf32 --deterministic';
    expect(told).toEqual(['eager', 'compile'].map((name) => `${common} --device cuda:3 --variant ${name}`));
    expect(Object.keys(result.stepMs)).toEqual(['node-cudnn', 'node-cudnn unfused', 'pytorch eager']);
    expect(result.stepMs['pytorch eager']).toMatchObject({ median: 5000, n: 20 });
    expect(result.absent).toEqual({ 'pytorch compile': expect.stringContaining('ended early') });
    // Of the unfused one of ours neither speed nor memory counts as PyTorch's.
    expect(result.speedup).toEqual(result.ratio['pytorch eager']);
    const { startBytes, peakBytes } = result.memory['node-cudnn'] as Comparison['memory'][string];
    expect(result.memoryRatio).toBe((peakBytes - startBytes) / 20);
    expect(result.layers?.length).toBeGreaterThan(20);
    const [file = ''] = await readdir(record);
    expect(result).toMatchObject(JSON.parse(await readFile(join(record, file), 'utf8')) as object);
  }, 120_000);

  it('compiles nothing where only the eager one is asked for', async () => {
    const python = await standIn('eager', '');
    const record = join(folder, 'eager-record');
    const places = ['--python', python.file, '--record', record];
    const result = await json<Comparison>('bench', '--peer', 'pytorch-eager', ...flags, ...places);
    expect((await python.told()).trim()).toMatch(/^[^\n]*--variant eager$/);
    expect(Object.keys(result.stepMs)).toEqual(['node-cudnn', 'pytorch eager']);
    expect(result.absent).toEqual({});
  }, 120_000);

  it('says what each of them lacked where no PyTorch starts', async () => {
    const python = await standIn('broken', 'process.exit(1);');
    const { code, stderr } = await cli('bench', '--peer', 'pytorch', ...flags, '--python', python.file);
    expect(code).not.toBe(0);
    expect(stderr).toContain('pytorch eager ended early');
    expect(stderr).toContain('pytorch compile ended early');
  }, 120_000);
});

describe('a contestant', () => {
  it('that is not ready in time is ended', async () => {
    const late = await standIn('late', 'return setInterval(() => {}, 1000);');
    const start = Contestant.start('late', late.file, ['script'], 1.5);
    await expect(start).rejects.toMatchObject({ code: 'ERR_OPTION', message: 'bench: late was not ready after 1.5 s' });
  });

  it('that is stopped has ended', async () => {
    const note = `process.on('exit', () => require('node:fs').writeFileSync(__filename + '.end', 'ended'));`;
    const soon = await standIn('soon', note);
    const contestant = await Contestant.start('soon', soon.file, ['script'], 60);
    expect(await contestant.ask(3)).toEqual([5000, 5000, 5000]);
    await contestant.stop();
    expect(await readFile(`${soon.file}.end`, 'utf8')).toBe('ended');
  });
});
