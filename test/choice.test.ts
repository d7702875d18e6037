// Fusion where time decides: what is asked, how often, and what comes of the answers.
import { describe, expect, it } from 'vitest';
import { type Answers, fasterOn, fuseByTime } from '../lib/choice.ts';
import { fuse, type Graph, type Group, graphText } from '../lib/graph/index.ts';
import { everything, trainingOf } from './graph/fused/graphs.ts';

const graph = trainingOf('cifar-resnet20', 'float16');

interface Asked {
  readonly fused: Graph;
  readonly questions: readonly string[];
  readonly ops: ReadonlySet<string>;
}

async function fuseAsking(
  source: Graph,
  isFaster: (group: Group) => boolean,
  answers: Answers = new Map(),
): Promise<Asked> {
  const questions: string[] = [];
  const ops = new Set<string>();
  const fused = await fuseByTime(source, everything, [], answers, async (question, group) => {
    questions.push(question);
    ops.add(group.op);
    return isFaster(group);
  });
  return { fused, questions, ops };
}

describe('fuseByTime', () => {
  it('asks once for all groups that are computed alike, and forms those that are faster', async () => {
    const { fused, questions } = await fuseAsking(graph, () => true);
    expect(graphText(fused)).toBe(graphText(fuse(graph, everything)));
    expect(new Set(questions).size).toBe(questions.length);
    // Of each of three stages: convolutions to the first map of the stage and within it; those of three channels.
    expect(questions.filter((question) => question.startsWith('group batch_norm_summed: '))).toHaveLength(5);
  });

  it('asks what follows from an answer, and no group stands on one that was refused', async () => {
    const { fused, ops } = await fuseAsking(graph, ({ op }) => op !== 'batch_norm_summed');
    const without = new Set([...everything].filter((feature) => feature !== 'op:batch_norm_summed'));
    expect(graphText(fused)).toBe(graphText(fuse(graph, without)));
    expect(ops).toContain('batch_norm_add_relu'); // stands there only without the sums
  });

  it('asks nothing that is known, whatever network it was known from', async () => {
    const answers: Answers = new Map();
    const first = await fuseAsking(graph, ({ op }) => op !== 'scaled_conv2d_statistics', answers);
    const deeper = await fuseAsking(trainingOf('cifar-resnet32', 'float16'), () => true, answers);
    expect(deeper.questions).toEqual([]);
    const without = new Set([...everything].filter((feature) => feature !== 'op:scaled_conv2d_statistics'));
    expect(graphText(deeper.fused)).toBe(graphText(fuse(trainingOf('cifar-resnet32', 'float16'), without)));
    expect(first.questions).not.toEqual([]);
    // Another type is another question.
    const other = await fuseAsking(trainingOf('cifar-resnet20', 'bfloat16'), () => true, answers);
    expect(other.questions.filter((question) => question.startsWith('group batch_norm_summed: '))).toHaveLength(5);
  });
});

it('fasterOn gives the device both sides, over one set of variables', async () => {
  const groups: Group[] = [];
  fuse(graph, everything, [], (group) => groups.push(group) > 0);
  const group = groups.find(({ op }) => op === 'batch_norm_summed') as Group;
  const calls: Parameters<Parameters<typeof fasterOn>[0]['fastest']>[] = [];
  const answer = (name: string) =>
    fasterOn({
      fastest: async (...given) => {
        calls.push(given);
        return name;
      },
    })('the question', group);
  expect([await answer('fused'), await answer('unfused')]).toEqual([true, false]);
  const [[problem, variables, alternatives] = []] = calls;
  expect(problem).toBe('the question');
  const suffixes = ['weight', 'bias', 'running_mean', 'running_var'];
  expect(variables?.map(({ name }) => name.split('.').at(-1))).toEqual(suffixes);
  expect(alternatives?.map(({ name }) => name)).toEqual(['fused', 'unfused']);
  for (const { graph: side } of alternatives ?? []) {
    const used = side.values.flatMap(({ name, variable }) => (variable === undefined ? [] : [[variable, name]]));
    expect(used).toEqual(variables?.map(({ name }, i) => [i, name]));
    // The convolution's output, for the gradients behind it, and the normalised one with its statistics.
    const kept = side.values.filter(({ keep }) => keep);
    expect(kept.map(({ shape }) => shape.length)).toEqual([4, 4, 1, 1]);
  }
});
