/** Translates option and method names in the library's errors into flags and commands. */

/** Phrases of the library, and those of the command line, replaced in order. */
const wordings: readonly (readonly [RegExp, string])[] = [
  [/pass `createIfMissing: true`/g, 'pass --create-if-missing'],
  [/pass the URL of (a|the) queue as `deadLetter`/g, 'pass $1 queue as --dead-letter QUEUE'],
  [/\. Use lease\(\)/g, ''],
  [/release\(\) those you hold, or wait/g, 'wait'],
  [/see `until`/g, 'see --until'],
  [/`?\bparallel: 0\b`?/g, '--parallel 0'],
  [/`?\bdurable: true\b`?/g, '--durable'],
]

/** Options of the library by their flags. Those of one plain word are replaced only if they are marked as code. */
const flags: Readonly<Record<string, string>> = {
  backoffExceptions: '--backoff-exception',
  concurrency: '--concurrency',
  createIfMissing: '--create-if-missing',
  deadLetter: '--dead-letter',
  delaySeconds: '--delay-sec',
  durable: '--durable',
  endpoint: '--endpoint',
  executeArgs: '--execute-args',
  graceSeconds: '--grace-sec',
  intervalSeconds: '--interval-sec',
  leaseSeconds: '--lease-sec',
  match: '--match',
  maxAttempts: '--max-attempts',
  maxBackoffSeconds: '--max-backoff-sec',
  maxMemoryMb: '--max-memory-mb',
  minBackoffSeconds: '--min-backoff-sec',
  parallel: '--parallel',
  region: '--region',
  resume: '--resume',
  timeoutSeconds: '--timeout-sec',
  until: '--until',
}

/** A message of the library in the words of the command line. Quotes of a payload or a path stay unchanged. */
export function inWordsOfCommands(message: string): string {
  const replaced = wordings.reduce((text, [pattern, words]) => text.replace(pattern, words), message)
  return replaced
    .replace(/(?<=Expected )`(\w+)`/g, (text, name: string) => flags[name] ?? text)
    .replace(/`?\b([a-z]+[A-Z]\w*)\b`?/g, (text, name: string) => flags[name] ?? text)
}
