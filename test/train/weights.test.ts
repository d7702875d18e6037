import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHeader, readSafetensors, type Tensor, writeSafetensors } from '../../lib/formats/index.ts';
import { autocast, Graph } from '../../lib/graph/index.ts';
import { type Classifier, ResNet, ResNetV2 } from '../../lib/models/index.ts';
import { compile, Device, type State, variablesOf } from '../../lib/program.ts';
import { loadWeights, predictCheckpoint, readWeightsInfo, saveWeights, Trainer } from '../../lib/train/index.ts';
import { golden } from '../goldens/images.ts';
import { uniform } from '../goldens/weights.ts';
import { tinyModel, tinyRun } from './tiny.ts';

interface Golden {
  readonly shape: readonly number[];
  readonly logits: Readonly<Record<string, readonly number[]>>;
}

const numClasses = 5;
const networks: Readonly<Record<string, () => Classifier>> = {
  torchvision: () => new ResNet('v1.5', [1, 1, 1, 1], { numClasses, widthMultiplier: 1 / 16 }),
  timm: () => new ResNetV2('timm', [2, 1], { numClasses, widthMultiplier: 1 / 8 }),
};
const fileOf = (name: string) => fileURLToPath(new URL(`../goldens/exchange-${name}.safetensors`, import.meta.url));
const { shape, logits: truth } = golden<Golden>('exchange');

let cpu: Device;
let folder: string;

beforeAll(async () => {
  cpu = await Device.open('cpu', { threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'weights-'));
});
afterAll(async () => {
  await cpu.close();
  await rm(folder, { recursive: true });
});

async function evaluate<T>(
  model: Classifier,
  use: (logits: Float32Array, state: State) => Promise<T>,
  device = cpu,
  dtype: 'float32' | 'bfloat16' = 'float32',
): Promise<T> {
  const plain = new Graph();
  plain.name(model.call(plain.input('x', { shape, format: 'activation' })), 'logits');
  const graph = dtype === 'float32' ? plain : autocast(plain, dtype);
  const state = await device.createState(variablesOf(graph));
  const program = await compile(graph, { device, state, keep: ['logits'] });
  await program.step({ x: Float32Array.from(uniform('x', shape)) });
  const answer = await use((await program.fetch('logits')) as Float32Array, state);
  program.close();
  state.close();
  return answer;
}

function expectLogits(found: Float32Array, name: string, allowed = 1e-5): void {
  const wanted = truth[name] as readonly number[];
  const norm = (values: readonly number[]) => Math.hypot(...values);
  const error = norm(wanted.map((value, i) => value - (found[i] as number))) / norm(wanted);
  expect(error).toBeLessThan(allowed); // float32 on both sides, sums in different orders
}

describe.each(Object.keys(networks))('a state dict of %s', (name) => {
  it('loads, and gives its logits', async () => {
    const model = (networks[name] as () => Classifier)();
    const report = await loadWeights(model, fileOf(name));
    expect(report).toEqual({ info: {}, missing: [], unexpected: [], misshapen: [] });
    await evaluate(model, async (logits) => expectLogits(logits, name));
  });

  it('gives its logits in bfloat16', async ({ skip }) => {
    const model = (networks[name] as () => Classifier)();
    await loadWeights(model, fileOf(name));
    const reference = await Device.open('reference');
    await evaluate(model, async (logits) => expectLogits(logits, name, 2e-2), reference, 'bfloat16');
    await reference.close();
    skip(!cpu.features.has('dtype:bfloat16'), 'this processor has no bfloat16; the reference agreed');
    await evaluate(model, async (logits) => expectLogits(logits, name, 2e-2), cpu, 'bfloat16');
  });

  it('is what we save', async () => {
    const model = (networks[name] as () => Classifier)();
    await loadWeights(model, fileOf(name));
    const file = join(folder, `${name}.safetensors`);
    const info = { architecture: 'resnet50', labels: ['a', 'b', 'c', 'd', 'e'], mean: [0.5, 0.4, 0.3], cropPct: 0.9 };
    await evaluate(model, (_, state) => saveWeights(file, model, state, info));
    expect(await readWeightsInfo(file)).toMatchObject({ info });
    const tensors = (header: Awaited<ReturnType<typeof readHeader>>) =>
      [...header.tensors]
        .map(([key, tensor]) => `${key} [${tensor.shape}]`)
        .filter((line) => !/batches_tracked/.test(line));
    expect(tensors(await readHeader(file)).sort()).toEqual(tensors(await readHeader(fileOf(name))).sort());
    const again = (networks[name] as () => Classifier)();
    expect((await loadWeights(again, file)).info).toEqual(info);
    await evaluate(again, async (logits) => expectLogits(logits, name));
  });
});

describe('what pictures need', () => {
  const timms = { architecture: 'resnetv2_50', imageSize: 224, cropPct: 0.95, interpolation: 'bicubic' };

  async function weightsIn(path: string, config: string, metadata: Record<string, string> = {}): Promise<string> {
    await mkdir(join(folder, path));
    const file = join(folder, path, 'model.safetensors');
    await writeSafetensors(file, new Map(), metadata);
    await writeFile(join(folder, path, 'config.json'), config);
    return file;
  }

  it("stands in timm's config.json beside the weights, or in their own metadata, which comes first", async () => {
    const config = await readFile(new URL('../goldens/exchange-timm-config.json', import.meta.url), 'utf8');
    const published = { ...timms, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
    expect((await readWeightsInfo(await weightsIn('timm', config))).info).toEqual(published);
    const own = await weightsIn('own', config, { crop_pct: '0.9', input_size: '[3,288,288]' });
    expect((await readWeightsInfo(own)).info).toEqual({ ...published, cropPct: 0.9, imageSize: 288 });
  });

  it('has names of classes as a list or by their numbers', async () => {
    for (const labels of ['["cat","dog"]', '{"0":"cat","1":"dog"}']) {
      const file = await weightsIn(`labels${labels.length}`, `{"label_names":${labels},"pretrained_cfg":{}}`);
      expect((await readWeightsInfo(file)).info).toEqual({ labels: ['cat', 'dog'] });
    }
  });

  it('is not read from another config.json, and must make sense', async () => {
    expect((await readWeightsInfo(await weightsIn('other', '{"mean":[1,1,1]}'))).info).toEqual({});
    const oblong = await weightsIn('oblong', '{"pretrained_cfg":{"input_size":[3,224,288]}}');
    await expect(readWeightsInfo(oblong)).rejects.toThrow('input_size is [3,224,288]; pictures must be square');
    await expect(readWeightsInfo(await weightsIn('broken', '{'))).rejects.toThrow(/config\.json: it is no JSON/);
  });
});

it('a trainer saves its network, and returns end points with its predictions', async () => {
  const trainer = await Trainer.create(tinyRun({ epochs: 1 }));
  const images = new Uint8Array(3 * 8 * 8 * 3).map((_, i) => i % 251);
  await trainer.fit();
  const [first] = await trainer.predict(images, { endPoints: ['0', '3'] });
  const file = join(folder, 'tiny.safetensors');
  await trainer.saveWeights(file);
  const { info } = await readWeightsInfo(file);
  expect(info).toEqual({
    architecture: 'tiny',
    labels: trainer.info.classes,
    ...trainer.info.normalisation,
    imageSize: 8,
  });
  await trainer.close();

  const model = tinyModel();
  await loadWeights(model, file);
  const options = { device: cpu, model, info: trainer.info, images, batchSize: 2, endPoints: ['3'] };
  const [again, ...others] = await predictCheckpoint(options);
  expect(others).toHaveLength(2);
  expect(again?.logits).toEqual(first?.logits);
  expect(first?.endPoints?.['0']).toMatchObject({ shape: [4, 8, 8] });
  expect(again?.endPoints?.['3']).toEqual(first?.endPoints?.['3']);
  expect(again?.endPoints?.['3']?.data).toHaveLength(4);
});

describe('weights that do not fit', () => {
  async function damaged(): Promise<string> {
    const { tensors } = await readSafetensors(fileOf('torchvision'));
    const changed = new Map<string, Tensor>(tensors);
    changed.delete('bn1.weight');
    changed.delete('layer1.0.conv2.weight');
    changed.set('fc.weight', { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) });
    changed.set('extra.bias', { dtype: 'F32', shape: [1], data: new Float32Array(1) });
    const file = join(folder, 'damaged.safetensors');
    await writeSafetensors(file, changed);
    return file;
  }

  it('may lack, or have besides, what is optional', async () => {
    const file = await damaged();
    const model = (networks.torchvision as () => Classifier)();
    const optional = ['bn1', 'layer1.0', 'extra', 'fc'];
    expect(await loadWeights(model, file, { optional })).toMatchObject({ unexpected: ['extra.bias [1]'] });
    const rest = loadWeights(model, file, { optional: optional.slice(1) });
    await expect(rest).rejects.toThrow(/^.* does not fit the model:\n {2}missing \(1\):\n {4}bn1\.weight \[4\]\nbuild/);
  });

  it('are named in one error', async () => {
    const file = await damaged();
    const model = (networks.torchvision as () => Classifier)();
    await expect(loadWeights(model, file)).rejects.toMatchObject({
      code: 'ERR_WEIGHTS',
      message: [
        `${file} does not fit the model:`,
        '  missing (2):',
        '    bn1.weight [4]',
        '    layer1.0.conv2.weight [4,4,3,3]',
        '  unexpected (1):',
        '    extra.bias [1]',
        '  other shape (1):',
        '    fc.weight: is [2,3], wanted [5,128]',
        'build the network and the number of classes that the file is of, or load what fits with strict: false',
      ].join('\n'),
    });
  });

  it('are reported, and the rest loaded, where strict is false', async () => {
    const model = (networks.torchvision as () => Classifier)();
    const report = await loadWeights(model, await damaged(), { strict: false });
    expect(report).toMatchObject({
      missing: ['bn1.weight [4]', 'layer1.0.conv2.weight [4,4,3,3]'],
      unexpected: ['extra.bias [1]'],
      misshapen: ['fc.weight: is [2,3], wanted [5,128]'],
    });
    const { tensors } = await readSafetensors(fileOf('torchvision'));
    const wanted = tensors.get('layer4.0.bn3.running_var') as Tensor;
    expect(wanted.dtype).toBe('F16');
    const found = await evaluate(model, async (_, state) => state.read('layer4.0.bn3.running_var'));
    expect([...found].every((value) => value > 0.4 && value < 1.6 && value !== 1)).toBe(true);
  });
});
