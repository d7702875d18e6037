import { createInterface } from 'node:readline';
import { modelDefaults } from '../models/index.ts';
import { percent } from '../train/format.ts';
import type { AmpDtype } from '../train/index.ts';
import { benchData, describeData } from './bench-data.ts';
import { defineCommand } from './command.ts';
import { ampOption, deviceOptions, jsonOption, withDevice, workersOption } from './common.ts';
import { layerTable } from './layers.ts';
import { type BenchResult, bench, Stepper } from './measure.ts';
import { compareWithPyTorch, describeComparison } from './peer.ts';

export const command = defineCommand({
  name: 'bench',
  usage: 'node-cudnn bench [--model NAME] [options]',
  purpose: 'times the training step of a network, layer by layer, or beside PyTorch',
  options: {
    model: { type: 'text', value: 'NAME', description: 'network (default cifar-resnet20)' },
    'batch-size': { type: 'integer', min: 1, value: 'N', description: 'pictures per step (default 128)' },
    'image-size': {
      type: 'integer',
      min: 8,
      value: 'S',
      description: 'pictures of SxS (default: what the network is made for)',
    },
    steps: { type: 'integer', min: 10, value: 'N', description: 'timed steps, at least 10 (default 20)' },
    ...ampOption,
    ...deviceOptions,
    data: {
      type: 'text',
      value: 'SET',
      description: 'a folder or shards: times reading the pictures alone, the step alone, and both together',
    },
    ...workersOption,
    peer: {
      type: 'text',
      choices: ['pytorch'],
      value: 'NAME',
      description: 'compare with pytorch, in turns (in the repository only)',
    },
    python: {
      type: 'text',
      value: 'FILE',
      description: 'the Python that has PyTorch (default $PYTHON, $VIRTUAL_ENV or python3)',
    },
    rounds: {
      type: 'integer',
      min: 1,
      value: 'N',
      description: '--peer, --data: turns of each, --steps long (default 5)',
    },
    record: { type: 'text', value: 'FOLDER', description: '--peer: where the record goes (default bench/results)' },
    serve: {
      type: 'switch',
      description: 'run as many steps as each line on stdin says and answer their milliseconds',
    },
    ...jsonOption,
  },
  examples: [
    'npm run bench -- --model cifar-resnet20 --batch-size 128',
    'npm run bench -- --model resnet18-small --batch-size 32 --image-size 64 --amp-dtype bfloat16 --json',
    'npm run bench -- --peer pytorch --python ~/venv/bin/python',
    'npm run bench -- --data photos/ --model resnet50 --batch-size 32 --workers 2 --peer pytorch',
  ],
  async run({ values, output }) {
    const model = values.model ?? 'cifar-resnet20';
    const { imageSize, numClasses } = modelDefaults(model);
    const options = {
      model,
      batchSize: values['batch-size'] ?? 128,
      imageSize: values['image-size'] ?? imageSize,
      numClasses,
      inChannels: 3 as const,
      ampDtype: (values['amp-dtype'] ?? 'float32') as AmpDtype,
    };
    const steps = values.steps ?? 20;
    if (values.data !== undefined) {
      const { data, workers, device, threads, peer, python, rounds = 5, record } = values;
      const result = await benchData(
        { ...options, data, workers, device, threads, peer, python, rounds, record, steps },
        output,
      );
      return output.answer(result, () => describeData(result));
    }
    if (values.serve) return withDevice(values, async (device) => serve(await Stepper.create(device, options)));
    if (values.peer !== undefined) {
      const { device, threads, python, rounds = 5, record } = values;
      const comparison = await compareWithPyTorch(
        { ...options, steps, rounds, device, threads, python, record },
        output,
      );
      return output.answer(comparison, () => describeComparison(comparison));
    }
    const result = await withDevice(values, (device) => bench(device, options, steps));
    output.answer(result, () => describe(result));
  },
});

/** The protocol of bench/peers/pytorch_bench.py. */
async function serve(stepper: Stepper): Promise<void> {
  process.stdout.write('{"ready":"node-cudnn"}\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const { times } = await stepper.time(Number(line));
    process.stdout.write(`${JSON.stringify(times)}\n`);
  }
  stepper.close();
}

function describe(result: BenchResult): string {
  const { model, batchSize, imageSize, dtype, device, threads, stepMs, ceilings } = result;
  return [
    layerTable(result.layers),
    '',
    `ceilings of this run: ${ceilings.gflops.toFixed(0)} GFLOP/s, ${ceilings.gbPerSecond.toFixed(1)} GB/s`,
    `${model}, batch ${batchSize}, ${imageSize}x${imageSize}, ${dtype}, ${device}, ${threads} threads: ` +
      `${stepMs.median.toFixed(2)} ms a step (p10 ${stepMs.p10.toFixed(2)}, p90 ${stepMs.p90.toFixed(2)}, n ${stepMs.n}), ` +
      `${result.imagesPerSecond.toFixed(0)} images/s, JavaScript ${percent(result.javascriptShare, 2)} of the time`,
  ].join('\n');
}
