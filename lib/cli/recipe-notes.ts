// What each recipe sets, in the words of the command line.
import { type Recipe, type RecipeName, recipeSources, recipes } from '../train/index.ts';

/** For the help: name, source and flags of every recipe. */
export function recipeNotes(): string[] {
  const names = Object.keys(recipes) as RecipeName[];
  return [
    'Recipes (a flag that is given overrides):',
    ...names.flatMap((name) => [`  ${name}: ${recipeSources[name]}`, `      ${flagsOf(recipes[name]).join(' ')}`]),
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
  ];
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
