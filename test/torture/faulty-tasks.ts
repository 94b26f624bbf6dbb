/** Sentences about tasks that broke a promise. */
import { counted } from '#ptq/text/counted.js'

/** At most this many keys are named. */
const shown = 5

/**
 * A number of tasks, what is wrong with them, and some of their keys, e.g. `2 tasks were lost: n-a. n-b.`
 *
 * @param what in the plural: of one task, the first `tasks`, `were` and so on are put into the singular
 */
export function faultyTasks(keys: readonly string[], what: string): string {
  const named = `${keys.slice(0, shown).join(' ')}${keys.length > shown ? ' …' : ''}`
  return `${counted(keys.length, singular(what), what)}: ${named}`
}

/** The plural words of the sentences, by their singular. */
const singulars: readonly (readonly [RegExp, string])[] = [
  [/\btasks\b/, 'task'],
  [/^dead letters\b/, 'dead letter'],
  [/\bleases\b/, 'lease'],
  [/\bwere\b/, 'was'],
  [/\bare\b/g, 'is'],
  [/\bthem\b/, 'it'],
]

function singular(what: string): string {
  return singulars.reduce((text, [plural, one]) => text.replace(plural, one), what)
}
