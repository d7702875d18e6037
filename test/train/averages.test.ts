// Moving averages of the weights through training, evaluation and checkpoints; parameters that are frozen.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { adam, lars, schedules, sgd } from '../../lib/optim/index.ts';
import {
  evaluateCheckpoint,
  predictCheckpoint,
  readCheckpoint,
  Trainer,
  trainingGraph,
} from '../../lib/train/index.ts';
import { temporaryFolder } from './processes.ts';
import { tinyData, tinyModel, tinyRun } from './tiny.ts';

const emaDecay = 0.75;
const kept = (name: string) => !/^(ema|optimizer)\.|^(seed|step)$/.test(name);

it('keeps the average of every parameter and buffer, the first step copied', async () => {
  await using folder = await temporaryFolder();
  const file = (step: number) => join(folder.path, `${step}.safetensors`);
  const save = {
    onStepsEnd: ({ step }: { step: number }, control: { save(file: string): Promise<void> }) =>
      control.save(file(step)),
  };
  const options = { epochs: 1, emaDecay, stepsPerCall: 1, optimizer: adam(), schedule: schedules.constant(0.01) };
  await using trainer = await Trainer.create(tinyRun({ ...options, callbacks: [save] }));
  await trainer.fit();

  const averages = new Map<string, number[]>();
  for (let step = 1; step <= 12; step += 1) {
    const { variables } = await readCheckpoint(file(step));
    for (const [name, { data }] of variables) {
      if (!kept(name)) continue;
      const old = averages.get(name) ?? Array.from(data);
      averages.set(
        name,
        old.map((average, i) => average + (1 - emaDecay) * ((data[i] as number) - average)),
      );
    }
  }
  const { variables } = await readCheckpoint(file(12));
  const names = [...variables.keys()].filter((name) => name.startsWith('ema.'));
  expect(names.sort()).toEqual([...averages.keys()].map((name) => `ema.${name}`).sort());
  expect(names).toContain('ema.1.running_var');
  for (const [name, average] of averages) {
    const found = [...(variables.get(`ema.${name}`)?.data ?? [])];
    found.forEach((value, i) => {
      expect(value, name).toBeCloseTo(average[i] as number, 6);
    });
  }
});

it('evaluates, predicts and chooses the best with the averages', async () => {
  await using folder = await temporaryFolder();
  const { path: output } = folder;
  await using trainer = await Trainer.create(tinyRun({ output, epochs: 2, emaDecay }));
  const { history } = await trainer.fit();
  const checkpoint = await readCheckpoint(join(output, 'last.safetensors'));
  const { device } = trainer;
  const inference = { device, model: tinyModel(), batchSize: 8 };
  const { test: set } = tinyData();
  const averaged = await evaluateCheckpoint({ ...inference, checkpoint, set });
  expect(averaged).toEqual(await trainer.evaluate());
  expect(averaged.loss).toBe(history.at(-1)?.testLoss);
  const raw = new Map([...checkpoint.variables].filter(([name]) => !name.startsWith('ema.')));
  const unaveraged = await evaluateCheckpoint({ ...inference, checkpoint: { ...checkpoint, variables: raw }, set });
  expect(unaveraged.loss).not.toBe(averaged.loss);
  const images = set.images.subarray(0, 3 * 8 * 8 * 3);
  expect(await predictCheckpoint({ ...inference, checkpoint, images })).toEqual(await trainer.predict(images));
});

it('starts with the averages of the initial weights', async () => {
  const first = async (options: { emaDecay?: number }) => {
    await using trainer = await Trainer.create(tinyRun(options));
    return await trainer.evaluate();
  };
  expect(await first({ emaDecay })).toEqual(await first({}));
});

it.each([
  ['sgd', sgd({ momentum: 0.9 })],
  ['adam', adam()],
  ['lars', lars()],
])('%s gives a frozen parameter neither gradient nor update nor state', (_, optimizer) => {
  const model = tinyModel();
  const frozen = ['0.weight', '4.bias'];
  for (const [name, parameter] of model.namedParameters()) parameter.requiresGrad = !frozen.includes(name);
  const graph = trainingGraph({
    ...{ model, set: tinyData().train, optimizer, batchSize: 8, ampDtype: 'float32', smoothing: 0, seed: 0 },
    normalisation: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] },
    augment: { padding: 0, flip: false },
  });
  const states = graph.variables.map(({ name }) => name).filter((name) => name.startsWith('optimizer.'));
  expect(states.some((name) => name.endsWith('.1.weight'))).toBe(true);
  for (const name of frozen) {
    expect(states.some((state) => state.endsWith(`.${name}`))).toBe(false);
    expect(graph.has(`grad.${name}`)).toBe(false);
    expect(graph.nodes.some(({ outputs }) => outputs.includes(graph.find(name)))).toBe(false);
  }
});
