import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  ensemble,
  evaluateCheckpoint,
  type Member,
  predictCheckpoint,
  readCheckpoint,
  Trainer,
} from '../../lib/train/index.ts';
import { temporaryFolder } from './processes.ts';
import { tinyData, tinyModel, tinyRun } from './tiny.ts';

const { test: set } = tinyData();

/** Members of other seeds and widths, and the device of the last. */
async function trained(folder: string): Promise<{ trainer: Trainer; members: Member[] }> {
  const members: Member[] = [];
  const run = async (seed: number, channels: number) => {
    const output = join(folder, String(seed));
    const trainer = await Trainer.create(tinyRun({ output, seed, model: tinyModel(channels), epochs: 1 }));
    await trainer.fit();
    members.push({ model: tinyModel(channels), checkpoint: await readCheckpoint(join(output, 'last.safetensors')) });
    return trainer;
  };
  await (await run(1, 4)).close();
  return { trainer: await run(2, 6), members };
}

it('averages class probabilities, and scores by them', async () => {
  await using folder = await temporaryFolder();
  const { trainer, members } = await trained(folder.path);
  await using closing = trainer;
  const { device } = closing;
  const options = { device, batchSize: 8 };
  const { images, labels } = set;
  const single = await Promise.all(members.map((member) => predictCheckpoint({ ...options, ...member, images })));
  const together = await ensemble(members).predict({ ...options, images });
  expect(together).toHaveLength(set.count);

  let [loss, correct] = [0, 0];
  together.forEach(({ labels: names, probabilities, logits }, row) => {
    const mean = set.classes.map((name) => {
      const of = single.map((predictions) => {
        const { labels: order, probabilities: all } = predictions[row] as (typeof predictions)[number];
        return all[order.indexOf(name)] as number;
      });
      return of.reduce((a, b) => a + b, 0) / of.length;
    });
    names.forEach((name, i) => {
      expect(probabilities[i]).toBeCloseTo(mean[set.classes.indexOf(name)] as number, 12);
    });
    expect(logits.map(Math.exp)[0]).toBeCloseTo(mean[0] as number, 12);
    const label = labels[row] as number;
    loss -= Math.log(mean[label] as number) / set.count;
    correct += (mean[label] as number) === Math.max(...mean) ? 1 : 0;
  });
  const evaluation = await ensemble(members).evaluate({ ...options, set });
  expect(evaluation).toMatchObject({ images: set.count, top1: correct / set.count, top5: 1 });
  expect(evaluation.loss).toBeCloseTo(loss, 10);

  const wrong = { ...set, labels: Int32Array.from(labels).fill(99, 3, 4) };
  await expect(ensemble(members).evaluate({ ...options, set: wrong })).rejects.toThrow(/picture 3 of .* has label 99/);

  const alone = await ensemble(members.slice(1)).evaluate({ ...options, set });
  const plain = await evaluateCheckpoint({ ...options, ...(members[1] as Member), set });
  expect(alone.top1).toBe(plain.top1);
  expect(alone.loss).toBeCloseTo(plain.loss, 5); // the loss of the device is summed in float32
});

it('refuses members of other classes, and none at all', () => {
  const member = (classes: string[]) => {
    const input = { height: 8, width: 8, channels: 3 };
    return {
      model: tinyModel(),
      checkpoint: { file: classes[0], info: { model: { classes, input } } },
    } as unknown as Member;
  };
  expect(() => ensemble([])).toThrow('ensemble: needs at least one model');
  expect(() => ensemble([member(['cat']), member(['dog'])])).toThrow('classes of cat is ["cat"], of dog ["dog"]');
});
