import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { bytesText } from '../graph/index.ts';
import { modelDefaults } from '../models/index.ts';
import type { Device } from '../program.ts';
import { percent } from '../train/format.ts';
import { type AmpDtype, ProgressLine } from '../train/index.ts';
import { proveFileWritable, proveWritable } from '../train/writable.ts';
import { UsageError } from './args.ts';
import { benchData, describeData } from './bench-data.ts';
import { benchPage, traceOf } from './bench-page.ts';
import { defineCommand } from './command.ts';
import { ampOption, auxOption, deviceOptions, jsonOption, withDevice, workersOption } from './common.ts';
import { layerTable, opTable } from './layers.ts';
import { type BenchResult, bench, Stepper } from './measure.ts';
import { compareWithPyTorch, describeComparison, type Peer } from './peer.ts';
import { recordFolder } from './record.ts';
import type { Spread } from './statistics.ts';
import type { TrainingProgramOptions } from './training-program.ts';

export const command = defineCommand({
  name: 'bench',
  usage: 'node-cudnn bench [--model NAME] [options]',
  purpose: 'times prediction and training step of a network, layer by layer, or the step beside PyTorch',
  options: {
    model: { type: 'text', value: 'NAME', description: 'network (default cifar-resnet20)' },
    'batch-size': { type: 'integer', min: 1, value: 'N', description: 'pictures per step (default 128)' },
    'image-size': {
      type: 'integer',
      min: 8,
      value: 'S',
      description: 'pictures of SxS (default: what the network is made for)',
    },
    steps: {
      type: 'integer',
      min: 10,
      value: 'N',
      description: 'timed steps, at least 10 (default 100; 20 in each round of --peer and --data)',
    },
    ...auxOption,
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
      choices: ['pytorch', 'pytorch-eager'],
      value: 'NAME',
      description: 'compare with pytorch, eager and compiled, in turns (in the repository only)',
    },
    'peer-device': { type: 'text', value: 'NAME', description: '--peer: where it computes (default: as --device)' },
    patience: {
      type: 'integer',
      min: 1,
      value: 'SECONDS',
      description: '--peer: who is not ready by then is left out (default: all are waited for)',
    },
    unfused: {
      type: 'switch',
      description: 'every node by itself; with --peer, as one more that takes turns',
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
    html: { type: 'text', value: 'FILE', description: 'write a page with a bar for every pass of every layer' },
    trace: {
      type: 'text',
      value: 'FILE',
      description: 'write a profiled step as a trace (chrome://tracing, ui.perfetto.dev)',
    },
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
      auxLogits: values['aux-logits'],
    };
    const inTurns = values.data !== undefined || values.peer !== undefined;
    if (inTurns && (values.html ?? values.trace) !== undefined)
      throw new UsageError('--html and --trace go without --peer and --data');
    if (values.data !== undefined && values.peer === 'pytorch-eager')
      throw new UsageError('--data reads beside --peer pytorch; nothing is compiled there');
    if (inTurns && options.auxLogits) throw new UsageError('--peer and --data time networks without --aux-logits');
    await proveOutputs(values);
    const steps = values.steps ?? (inTurns ? 20 : 100);
    const { device, threads, tf32, deterministic, unfused = false } = values;
    const machine = { device, threads, tf32, deterministic, 'compiled-engines': values['compiled-engines'] };
    if (values.data !== undefined) {
      const { data, workers, peer, python, rounds = 5, record } = values;
      const result = await benchData(
        { ...options, ...machine, data, workers, peer, python, rounds, record, steps },
        output,
      );
      return output.answer(result, () => describeData(result));
    }
    if (values.serve) return withDevice(values, (device) => serve(device, { ...options, fuse: !unfused }));
    if (values.peer !== undefined) {
      const { python, rounds = 5, record, patience } = values;
      const peers = { peer: values.peer as Peer, python, patience, peerDevice: values['peer-device'] };
      const turns = { ...peers, steps, rounds, record, unfused };
      const comparison = await compareWithPyTorch({ ...options, ...machine, ...turns }, output);
      return output.answer(comparison, () => describeComparison(comparison));
    }
    const progress = new ProgressLine(output.log);
    const { result, profiles } = await withDevice(values, (device) =>
      bench(device, { ...options, fuse: !unfused }, steps, progress),
    );
    output.answer(result, () => [layerTable(result.layers), opTable(result.ops), summary(result)].join('\n\n'));
    if (values.html !== undefined) await save(values.html, benchPage(result, summary(result)));
    if (values.trace !== undefined) await save(values.trace, JSON.stringify(traceOf(profiles.at(-1) ?? [], model)));
  },
});

/** The protocol of bench/peers/pytorch_bench.py. */
async function serve(device: Device, options: TrainingProgramOptions): Promise<void> {
  const startBytes = peakBytes(device);
  const stepper = await Stepper.create(device, options);
  process.stdout.write('{"ready":"node-cudnn"}\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const memory = line === 'memory';
    const answer = memory ? { startBytes, peakBytes: peakBytes(device) } : (await stepper.time(Number(line))).times;
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  stepper.close();
}

/** The most that this process has held so far: of a GPU's memory, else resident. */
function peakBytes(device: Device): number {
  return device.name.startsWith('cuda') ? device.memory().peakBytes : 1024 * process.resourceUsage().maxRSS;
}

interface Outputs {
  readonly html?: string;
  readonly trace?: string;
  readonly peer?: string;
  readonly record?: string;
}

/** A measurement takes minutes: what it is for must not fail behind it. */
async function proveOutputs({ html, trace, peer, record = recordFolder }: Outputs): Promise<void> {
  if (html !== undefined) await proveFileWritable(html, '--html');
  if (trace !== undefined) await proveFileWritable(trace, '--trace');
  if (peer !== undefined) await proveWritable(record, 'folder', '--record');
}

async function save(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

function summary(result: BenchResult): string {
  const { model, auxLogits, batchSize, imageSize, dtype, device, threads, stepMs, forwardMs, ceilings } = result;
  const milliseconds = ({ mean, deviation, median, p10, p90, n }: Spread) =>
    `${mean.toFixed(2)} ± ${deviation.toFixed(2)} ms (median ${median.toFixed(2)}, p10 ${p10.toFixed(2)}, ` +
    `p90 ${p90.toFixed(2)}, n ${n}), ${((1000 * batchSize) / median).toFixed(0)} images/s`;
  return [
    `ceilings of this run: ${ceilings.gflops.toFixed(0)} GFLOP/s, ${ceilings.gbPerSecond.toFixed(1)} GB/s`,
    `${model}${auxLogits ? ' with auxiliary heads' : ''}, batch ${batchSize}, ${imageSize}x${imageSize}, ${dtype}, ` +
      `${device}, ${threads} threads`,
    `forward (prediction): ${milliseconds(forwardMs)}`,
    `forward, backward and update: ${milliseconds(stepMs)}, JavaScript ${percent(result.javascriptShare, 2)} of the time`,
    `between kernels: ${percent(result.betweenKernels)} of a step; memory: ${bytesText(result.peakBytes)} at most` +
      (result.watts === undefined ? '' : `; ${result.watts.toFixed(0)} W`),
  ].join('\n');
}
