import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, type Tensor, writeSafetensors } from '../../lib/formats/index.ts';
import { createModel } from '../../lib/models/index.ts';
import { readCheckpointInfo } from '../../lib/train/index.ts';
import { testDevice } from '../train/tiny.ts';
import { cli, json, startCli, writePictures } from './cli.ts';

const device = ['--device', testDevice(), '--threads', 1];
const recipe = ['--batch-size', 6, '--epochs', 2, '--lr', 0.05];
let folder: string;
let data: string;
let run: string;
let trained: { status: string; output: string; epoch: number; step: number; bestAccuracy: number; history: object[] };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-cli-'));
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  data = await writePictures(join(folder, 'pictures'));
  run = join(folder, 'run');
  const flags = ['--tf32', '--deterministic'];
  trained = await json('train', '--data', data, ...recipe, ...device, ...flags, '--output', run);
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const metrics = [
  'epoch',
  'step',
  'trainLoss',
  'trainAccuracy',
  'testLoss',
  'testAccuracy',
  'imagesPerSecond',
  'seconds',
];

describe('train', () => {
  it('answers with JSON alone on stdout, and leaves the files of a run', async () => {
    expect(trained).toMatchObject({ status: 'completed', output: run, epoch: 2, step: 8 });
    expect((await readdir(run)).sort()).toEqual([
      'best.safetensors',
      'configuration.json',
      'last.safetensors',
      'metrics.jsonl',
    ]);
    const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => Object.keys(line))).toEqual([metrics, metrics]);
    expect(lines).toEqual(trained.history);
    expect(JSON.parse(await readFile(join(run, 'configuration.json'), 'utf8'))).toMatchObject({
      model: 'cifar-resnet20',
      data,
      tf32: true,
      deterministic: true,
      recipe: { epochs: 2, batchSize: 6, sched: 'onecycle' },
    });
  });

  it('does not touch a run that is there', async () => {
    const { code, stderr } = await cli('train', '--data', data, ...recipe, ...device, '--output', run);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/already holds a run.*--overwrite/) });
  });

  it('refuses flags that contradict the resumed run', async () => {
    const { code, stderr } = await cli('train', '--resume', join(run, 'last.safetensors'), '--lr', 0.1);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--lr 0.1: the checkpoint has 0.05') });
  });

  it('takes the scale of a float16 loss and its window from flags', async () => {
    const scale = ['--initial-loss-scale', 1024, '--loss-scale-window', 3];
    const half = ['--amp-dtype', 'float16', '--device', 'reference', '--output', join(folder, 'half')];
    const { history } = await json<typeof trained>(
      'train',
      '--data',
      data,
      ...recipe,
      '--epochs',
      1,
      ...half,
      ...scale,
    );
    expect(history[0]).toMatchObject({ lossScale: 2048, skippedSteps: 0 }); // doubled after three of four steps
    const { code, stderr } = await cli('train', '--data', data, ...recipe, ...device, ...scale);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining('--initial-loss-scale is for --amp-dtype float16; this run computes in float32'),
    });
  });

  it('saves and says how to go on when interrupted, and goes on', async () => {
    const output = join(folder, 'interrupted');
    const options = ['--data', data, ...recipe, '--epochs', 2000, ...device, '--log-interval', 1, '--output', output];
    const child = startCli('train', ...options);
    await child.wrote('epoch    2/2000');
    child.process.kill('SIGINT');
    const { code, stdout, stderr } = await child.finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const last = join(output, 'last.safetensors');
    expect(stdout).toContain(`continue with: node-cudnn train --resume ${last}`);
    const { step } = JSON.parse(
      (await readFile(join(output, 'metrics.jsonl'), 'utf8')).trim().split('\n').at(-1) as string,
    );
    const resumed = startCli('train', '--resume', last, ...device);
    await resumed.wrote(`epoch ${String(step / 4 + 1).padStart(4)}/2000`);
    resumed.process.kill('SIGTERM');
    expect((await resumed.finished).code).toBe(0);
  });
});

describe('evaluate', () => {
  it('finds what training found', async () => {
    const result = await json('evaluate', '--checkpoint', join(run, 'last.safetensors'), '--data', data, ...device);
    const { testLoss, testAccuracy } = trained.history.at(-1) as { testLoss: number; testAccuracy: number };
    expect(result).toEqual({ images: 9, loss: expect.closeTo(testLoss, 5), top1: testAccuracy, top5: 1 });
  });

  it('names a checkpoint that is not there', async () => {
    const { code, stderr } = await cli('evaluate', '--checkpoint', join(folder, 'none.safetensors'), '--data', data);
    expect(code).toBe(1);
    expect(stderr).toMatch(/none\.safetensors: there is no such file/);
  });

  it('refuses data of other classes', async () => {
    const { code, stderr } = await cli(
      'evaluate',
      '--checkpoint',
      join(run, 'best.safetensors'),
      '--data',
      'cifar10-mini',
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/classes: the checkpoint has \["columns","rows"\].*picture size/s);
  });
});

describe('predict', () => {
  it('gives labels with probabilities, and logits on request', async () => {
    const files = ['rows/000.png', 'columns/001.png'].map((name) => join(data, 'test', name));
    const checkpoint = join(run, 'last.safetensors');
    type Answer = { file: string; labels: string[]; probabilities: number[]; logits: number[]; classes: string[] };
    const answers = await json<Answer[]>('predict', '--checkpoint', checkpoint, ...files, '--logits', ...device);
    expect(answers.map(({ file }) => file)).toEqual(files);
    for (const { labels, probabilities, logits, classes } of answers) {
      expect(classes).toEqual(['columns', 'rows']);
      const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
      const expected = labels.map((label) => Math.exp(logits[classes.indexOf(label)] as number) / sum);
      probabilities.forEach((probability, i) => void expect(probability).toBeCloseTo(expected[i] as number, 6));
      expect(probabilities[0]).toBeGreaterThanOrEqual(probabilities[1] as number);
    }
    const plain = await json<object[]>(
      'predict',
      '--checkpoint',
      checkpoint,
      files[0] as string,
      '--topk',
      1,
      ...device,
    );
    expect(plain).toEqual([{ file: files[0], labels: [answers[0]?.labels[0]], probabilities: [expect.any(Number)] }]);
  });

  it('takes weights without a checkpoint, prepares pictures as the flags say, and writes end points', async () => {
    const [picture, weights] = [join(data, 'test', 'rows/000.png'), join(folder, 'weights.safetensors')];
    const { tensors } = await readSafetensors(join(run, 'last.safetensors'));
    const own = createModel('cifar-resnet20', { numClasses: 2 });
    const names = [...own.namedParameters(), ...own.namedBuffers()].map(([name]) => name);
    await writeSafetensors(weights, new Map(names.map((name) => [name, tensors.get(name) as Tensor])));
    const { mean, std } = (await readCheckpointInfo(join(run, 'last.safetensors'))).model.normalisation;
    const flags = ['--model', 'cifar-resnet20', '--weights', weights, '--img-size', 8, '--crop-pct', 1];
    const inside = ['--end-points', 'layer3,pool', '--output', join(folder, 'inside')];
    const asked = [...flags, '--mean', mean.join(','), '--std', std.join(','), ...inside, '--logits', ...device];
    type Answer = { labels: string[]; logits: number[]; classes: string[] };
    const [answer] = await json<[Answer]>('predict', picture, ...asked);
    const trained = ['--checkpoint', join(run, 'last.safetensors'), '--logits', ...device];
    const [checkpoint] = await json<[Answer]>('predict', picture, ...trained);
    expect(answer.classes).toEqual(['class 0', 'class 1']);
    answer.logits.forEach((logit, i) => void expect(logit).toBeCloseTo(checkpoint.logits[i] as number, 4));
    const set = ['--data', data, '--crop-pct', 1];
    type Evaluation = { images: number; loss: number };
    const named = ['--model', 'cifar-resnet20', '--weights', weights, '--img-size', 8];
    const normal = ['--mean', mean.join(','), '--std', std.join(',')];
    const evaluated = await json<Evaluation>('evaluate', ...named, ...normal, ...set, ...device);
    const before = await json<Evaluation>('evaluate', '--checkpoint', join(run, 'last.safetensors'), ...device);
    expect(evaluated.images).toBe(before.images);
    expect(evaluated.loss).toBeCloseTo(before.loss, 4);
    const file = await readFile(join(folder, 'inside', 'pool.npy'));
    expect(file.toString('latin1', 0, 128)).toContain("'descr': '<f4', 'fortran_order': False, 'shape': (1, 64), }");
    expect(file.length).toBe(128 + 4 * 64);
    expect((await readFile(join(folder, 'inside', 'layer3.npy'))).toString('latin1')).toContain('(1, 64, 2, 2)');
  });

  it('fine-tunes from weights, leaving the frozen part as it is', async () => {
    const weights = join(folder, 'published.safetensors');
    const { tensors } = await readSafetensors(join(run, 'last.safetensors'));
    const own = createModel('cifar-resnet20', { numClasses: 2 });
    const kept = new Map(
      [...own.namedParameters(), ...own.namedBuffers()].map(([name]) => [name, tensors.get(name) as Tensor]),
    );
    kept.set('fc.weight', { dtype: 'F32', shape: [7, 64], data: new Float32Array(7 * 64) });
    kept.set('fc.bias', { dtype: 'F32', shape: [7], data: new Float32Array(7) });
    const info = { mean: '[0.5,0.4,0.3]', std: '[0.2,0.2,0.2]' };
    await writeSafetensors(weights, kept, info);
    const tuned = join(folder, 'tuned');
    const flags = ['--weights', weights, '--freeze-until', 'layer3', '--data', data, ...recipe, '--output', tuned];
    await json('train', ...flags, ...device);
    const after = (await readSafetensors(join(tuned, 'last.safetensors'))).tensors;
    const same = (name: string) => expect(after.get(name)?.data).toEqual(kept.get(name)?.data);
    for (const name of ['conv1.weight', 'bn1.running_mean', 'layer2.2.bn2.weight']) same(name);
    expect(after.get('layer3.0.conv1.weight')?.data).not.toEqual(kept.get('layer3.0.conv1.weight')?.data);
    expect(after.get('fc.weight')?.shape).toEqual([2, 64]);
    const { model } = await readCheckpointInfo(join(tuned, 'last.safetensors'));
    expect(model.normalisation).toEqual({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] });
  });

  it('names a picture that is not there', async () => {
    const { code, stderr } = await cli(
      'predict',
      '--checkpoint',
      join(run, 'last.safetensors'),
      join(folder, 'no.png'),
    );
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('no.png') });
  });
});

describe('summary', () => {
  it('counts what the papers count', async () => {
    const summary = await json<{ layers: { name: string }[] }>('summary', 'cifar-resnet20', ...device);
    expect(summary).toMatchObject({
      parameters: 269_722, // option A; He et al. 2015, table 6: 0.27 million
      multiplyAdds: 1024 * (27 * 16 + 6 * 144 * 16) + 256 * 32 * (144 + 5 * 288) + 64 * 64 * (288 + 5 * 576) + 64 * 10,
      buffers: 2 * (7 * 16 + 6 * 32 + 6 * 64),
    });
    expect(Object.keys(summary)).toEqual([
      ...['parameters', 'buffers', 'multiplyAdds', 'activationBytes', 'plannedBytes', 'layers', 'endPoints'],
    ]);
    expect(summary).toHaveProperty('endPoints.0', { name: 'conv1', shape: [1, 16, 32, 32] });
    expect(summary.layers[0]).toEqual({ name: 'conv1', type: 'Conv2d', outputShape: [1, 16, 32, 32], parameters: 432 });
  });

  it('has auxiliary heads on request', async () => {
    const small = ['--image-size', 65, '--num-classes', 5, ...device];
    const parameters = async (...flags: string[]) =>
      (await json<{ parameters: number }>('summary', 'inception-v1', ...flags, ...small)).parameters;
    const head = (channels: number) => channels * 128 + 128 + (128 * 1024 + 1024) + (1024 * 5 + 5);
    expect((await parameters('--aux-logits')) - (await parameters())).toBe(head(512) + head(528));
  });
});

describe('bench', () => {
  it('times steps and layers', async () => {
    const flags = ['--batch-size', 2, '--image-size', 8, '--steps', 10, '--tf32', '--deterministic', ...device];
    type Times = { median: number; p10: number; p90: number; mean: number; deviation: number };
    const result = await json<{ stepMs: Times; forwardMs: Times; layers: object[] }>('bench', ...flags);
    expect(result).toMatchObject({ device: testDevice(), model: 'cifar-resnet20', batchSize: 2, dtype: 'float32' });
    expect(result.stepMs).toMatchObject({ n: 10 });
    expect(result.forwardMs).toMatchObject({ n: 10 });
    expect(result.forwardMs.median).toBeLessThan(result.stepMs.median);
    expect(result.stepMs.deviation).toBeGreaterThan(0);
    expect(result.stepMs.p10).toBeLessThanOrEqual(result.stepMs.median);
    expect(result.stepMs.median).toBeLessThanOrEqual(result.stepMs.p90);
    const conv = result.layers.find((layer) => 'name' in layer && layer.name === 'layer2.0.conv1');
    for (const pass of ['forward', 'dgrad', 'wgrad']) {
      expect(conv).toHaveProperty([pass, 'microseconds', 'median']);
      expect(conv).toHaveProperty([pass, 'implementations']);
    }
  });

  it('draws a page and writes a trace', async () => {
    const [page, trace] = [join(folder, 'bench', 'page.html'), join(folder, 'bench', 'trace.json')];
    const flags = ['--batch-size', 2, '--image-size', 8, '--steps', 10, '--html', page, '--trace', trace, ...device];
    const { layers } = await json<{ layers: { name: string }[] }>('bench', ...flags);
    const html = await readFile(page, 'utf8');
    for (const { name } of layers) expect(html).toContain(`<td>${name}</td>`);
    expect(html.match(/class="bar dgrad"/g)?.length).toBeGreaterThan(15);
    const { traceEvents } = JSON.parse(await readFile(trace, 'utf8')) as { traceEvents: { cat?: string }[] };
    expect(traceEvents.filter(({ cat }) => cat === 'conv2d_wgrad').length).toBeGreaterThan(15);
  });
});

const commands = ['train', 'evaluate', 'predict', 'summary', 'bench', 'start', 'devices', 'doctor'];

describe('every command', () => {
  it.each([
    [['trian'], 2, "unknown command 'trian'; did you mean train?"],
    [['train', '--epohcs', 3], 2, 'unknown flag --epohcs; did you mean --epochs?'],
    [['train', '--lr', 'NaN'], 2, "--lr 'NaN': give a number greater than 0"],
    [['evaluate'], 2, '--checkpoint is missing'],
    [['predict', '--checkpoint', 'x'], 2, 'no pictures given'],
    [['summary'], 2, 'give one model'],
    [['summary', 'resnet18', '--aux-logits'], 1, 'resnet18 has no auxiliary heads'],
    [['bench', '--aux-logits', '--peer', 'pytorch'], 2, '--peer and --data time networks without --aux-logits'],
    [['bench', '--html', '/proc/nowhere'], 1, 'folder /proc cannot be written: ENOENT'],
    [['bench', '--trace', '/proc/nowhere/trace.json'], 1, 'choose another --trace or mend its rights'],
    [['bench', '--html', 'test'], 1, 'file test cannot be written: it is a folder; choose another --html'],
    [['bench', '--peer', 'pytorch', '--record', '/proc/nowhere'], 1, 'choose another --record or mend its rights'],
    [['summary', 'cifar-resnet21'], 1, "did you mean 'cifar-resnet2"],
    [['train', '--device', 'cuda:7', '--output', '/proc/nowhere'], 1, 'cuda:7'],
    [['train', '--data', '/there/is/no/such/set'], 1, 'there is no such folder or archive'],
  ])('%j fails with code %i and one message', async (args, code, message) => {
    const result = await cli(...args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });

  it('shows where an error arose under --debug', async () => {
    expect((await cli('summary', 'nothing', '--debug')).stderr).toMatch(/^\s+at /m);
  });

  it.each(commands)('%s --help shows examples', async (name) => {
    const { code, stdout } = await cli(name, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Usage: node-cudnn ${name}.*Examples:\\n  `, 's'));
  });

  it('stands in the overview', async () => {
    const { code, stdout } = await cli('--help');
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}\w+/gm)?.map((name) => name.trim())).toEqual(commands);
  });

  it('says its version', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(await cli('--version')).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  it('lists the devices', async () => {
    const devices = await json<{ name: string; available: boolean }[]>('devices');
    expect(devices).toContainEqual(expect.objectContaining({ name: 'reference', available: true }));
    expect(devices.map(({ name }) => name)).toContain('cuda');
  });
});
