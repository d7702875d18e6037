// What each recipe sets, in the words of the command line.
import { type PictureChoice, type Recipe, type RecipeName, recipeSources, recipes } from '../train/index.ts';

/** For the help: name, source and flags of every recipe. */
export function recipeNotes(): string[] {
  const names = Object.keys(recipes) as RecipeName[];
  return [
    'Recipes (a flag that is given overrides; pictures in memory are not cut anew):',
    ...names.flatMap((name) => {
      const [source, ...remarks] = recipeSources[name];
      const lines = [flagsOf(recipes[name]).join(' '), ...remarks];
      return [`  ${name}: ${source}`, ...lines.map((line) => `      ${line}`)];
    }),
    '',
  ];
}

export function flagsOf(recipe: Recipe): string[] {
  const { epochs, batchSize, lr, momentum, weightDecay, smoothing, clipGrad } = recipe;
  return [
    `--epochs ${epochs} --batch-size ${batchSize} --lr ${lr}`,
    ...scheduleFlags(recipe),
    ...(recipe.opt === 'sgd' ? [] : [`--opt ${recipe.opt}`]),
    `--momentum ${momentum}${recipe.opt === 'sgd' && recipe.nesterov ? ' (Nesterov)' : ''}`,
    `--weight-decay ${Number(weightDecay.toPrecision(3))}`,
    ...(smoothing > 0 ? [`--smoothing ${smoothing}`] : []),
    ...(clipGrad > 0 ? [`--clip-grad ${clipGrad}`] : []),
    ...(recipe.modelEma ? [`--model-ema --model-ema-decay ${recipe.modelEmaDecay}`] : []),
    ...(recipe.drop === undefined ? [] : [`--drop ${recipe.drop}`]),
    ...pictureFlags(recipe.pictures ?? {}),
    ...(recipe.padding > 0 ? [`(crops with ${recipe.padding} pixels of padding)`] : []),
    ...(recipe.flip ? ['(flips)'] : []),
  ];
}

function pictureFlags(pictures: PictureChoice): string[] {
  return Object.entries(pictures).map(([key, value]) => {
    const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const numbers = [value].flat().map((part) => (typeof part === 'number' ? Number(part.toFixed(4)) : part));
    return `--${flag} ${numbers.join(',')}`;
  });
}

function scheduleFlags(recipe: Recipe): string[] {
  const { sched, decayMilestones, decayRate, decayEpochs, warmupEpochs } = recipe;
  const warmup = warmupEpochs > 0 ? [`--warmup-epochs ${warmupEpochs}`] : [];
  if (sched === 'step') {
    return [`--sched step --decay-milestones ${decayMilestones.join(',')} --decay-rate ${decayRate}`, ...warmup];
  }
  if (sched !== 'exponential') return [`--sched ${sched}`, ...warmup];
  const every = `--decay-epochs ${Number(decayEpochs.toPrecision(4))}${recipe.staircase ? ' --staircase' : ''}`;
  return [`--sched exponential --decay-rate ${decayRate} ${every}`, ...warmup];
}
