/** Translates option and method names in the library's errors into flags and commands. */

/** Phrases of the library, and those of the command line, replaced in order. */
const wordings: readonly (readonly [RegExp, string])[] = [
  [/pass `createIfMissing: true`/g, 'pass --create-if-missing'],
  [/pass the URL of (a|the) queue as `deadLetter`/g, 'pass $1 queue as --dead-letter QUEUE'],
  [/\. Use lease\(\)/g, ''],
  [/release\(\) those you hold, or wait/g, 'wait'],
  [/see `until`/g, 'see --until'],
  [/are made known by registerBackend/g, 'are made known by --load FILE, a module that calls registerBackend'],
  [/`?\bparallel: 0\b`?/g, '--parallel 0'],
  [/`?\bdurable: true\b`?/g, '--durable'],
]

/** Options of the library by their flags. Those of one plain word are replaced only if they are marked as code. */
const flags: Readonly<Record<string, string>> = {
  backoffExceptions: '--backoff-exception',
  commands: '--commands',
  concurrency: '--concurrency',
  createIfMissing: '--create-if-missing',
  deadLetter: '--dead-letter',
  delaySeconds: '--delay-sec',
  durable: '--durable',
  endpoint: '--endpoint',
  executeArgs: '--execute-args',
  graceSeconds: '--grace-sec',
  group: '--group',
  intervalSeconds: '--interval-sec',
  leaseSeconds: '--lease-sec',
  logFolder: '--log-folder',
  match: '--match',
  maxAttempts: '--max-attempts',
  maxBackoffSeconds: '--max-backoff-sec',
  maxLogMb: '--max-log-mb',
  maxMemoryMb: '--max-memory-mb',
  minBackoffSeconds: '--min-backoff-sec',
  native: '--native',
  onError: '--on-error',
  pack: '--pack',
  parallel: '--parallel',
  region: '--region',
  results: '--results',
  resume: '--resume',
  tally: '--tally',
  timeoutSeconds: '--timeout-sec',
  until: '--until',
  untilEmpty: '--until-empty',
}

/** A message of the library in the words of the command line. Quotes of a payload, a path or a queue's name stay unchanged. */
export function inWordsOfCommands(message: string): string {
  const replaced = wordings.reduce((text, [pattern, words]) => text.replace(pattern, words), message)
  return replaced
    .replace(/(?<!\bqueue )`(\w+)`/g, (text, name: string) => flags[name] ?? text)
    .replace(/`?\b([a-z]+[A-Z]\w*)\b`?/g, (text, name: string) => flags[name] ?? text)
}
