import { expect, it } from 'vitest';
import { type Options, parse, UsageError } from '../../lib/cli/args.ts';

const options = {
  model: { type: 'text', value: 'NAME', description: '' },
  sched: { type: 'text', choices: ['step', 'cosine'], value: 'NAME', description: '' },
  epochs: { type: 'integer', min: 1, value: 'N', description: '' },
  lr: { type: 'number', above: 0, value: 'RATE', description: '' },
  seed: { type: 'integer', min: 0, max: 9, value: 'N', description: '' },
  'decay-milestones': { type: 'integers', min: 1, value: 'N,N', description: '' },
  scale: { type: 'numbers', above: 0, max: 1, value: 'LOW,HIGH', description: '' },
  json: { type: 'switch', description: '' },
} as const satisfies Options;

it('reads values of every kind, with a space or an equals sign', () => {
  const { values, positionals } = parse(
    'train',
    [
      'a.jpg',
      '--model',
      'm',
      '--epochs=3',
      '--lr',
      '1e-2',
      '--json',
      '--decay-milestones',
      '80,120',
      '--scale',
      '0.08 1',
      'b.jpg',
    ],
    options,
  );
  expect(values).toEqual({
    model: 'm',
    epochs: 3,
    lr: 0.01,
    json: true,
    'decay-milestones': [80, 120],
    scale: [0.08, 1],
  });
  expect(positionals).toEqual(['a.jpg', 'b.jpg']);
});

it('collects every value of a list', () => {
  const files = { checkpoint: { type: 'texts', value: 'FILE', description: '' } } as const;
  expect(parse('evaluate', ['--checkpoint', 'a', '--checkpoint=b'], files).values.checkpoint).toEqual(['a', 'b']);
  expect(parse('evaluate', [], files).values.checkpoint).toBeUndefined();
  const betas = { 'opt-betas': { type: 'numbers', max: 1, value: 'B,B', description: '' } } as const;
  expect(parse('train', ['--opt-betas', '0.9,0.95'], betas).values['opt-betas']).toEqual([0.9, 0.95]);
});

it('takes the last of two values', () => {
  expect(parse('train', ['--lr', '1', '--lr', '2'], options).values.lr).toBe(2);
});

it.each([
  [['--epohcs', '3'], 'unknown flag --epohcs; did you mean --epochs?'],
  [['--constructor', '3'], 'unknown flag --constructor'],
  [['-x'], 'unknown flag -x'],
  [['--epochs'], '--epochs needs a value: --epochs N'],
  [['--epochs', '--json'], '--epochs needs a value'],
  [['--epochs', '1.5'], "--epochs '1.5': give an integer from 1"],
  [['--epochs', '0'], "--epochs '0': give an integer from 1"],
  [['--epochs', '-3'], "--epochs '-3': give an integer from 1"],
  [['--epochs', '9007199254740993'], 'give an integer'],
  [['--seed', '10'], "--seed '10': give an integer from 0 up to 9"],
  [['--lr', 'NaN'], "--lr 'NaN': give a number greater than 0"],
  [['--lr', '-Infinity'], "--lr '-Infinity': give a number greater than 0"],
  [['--lr', '0'], "--lr '0': give a number greater than 0"],
  [['--lr', ' '], '--lr'],
  [['--sched', 'cosin'], "--sched 'cosin': choose one of step, cosine; did you mean cosine?"],
  [['--decay-milestones', '80,x'], "--decay-milestones 'x': give an integer from 1"],
  [['--json=yes'], '--json is a switch and takes no value'],
])('refuses %j', (argv, message) => {
  expect(() => parse('train', argv, options)).toThrow(UsageError);
  expect(() => parse('train', argv, options)).toThrow(message);
});
