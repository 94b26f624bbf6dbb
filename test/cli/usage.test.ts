import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { endingError } from '#ptq/cli/failing.js'
import { runCommandLine } from '#ptq/cli/subcommands.js'
import { ended, inFolder, payloadLines, projectRoot, runCli, runProcess, startCli } from './run-cli.js'

const COMMANDS = [
  'status',
  'serve',
  'poll',
  'insert',
  'ls',
  'show',
  'failures',
  'retry',
  'release',
  'rezero',
  'purge',
  'cp',
  'mv',
  'license',
  'run',
  'slurm',
  'log',
  'results',
]

test('help names every command, and the help of every command has an example', async t => {
  const help = await runProcess(['--help'])
  assert.equal(help.code, 0)
  assert.equal(help.stderr, '')
  for (const name of [...COMMANDS, 'completion']) assert.match(help.stdout, new RegExp(`^ {2}ptq ${name}\\b`, 'm'))
  for (const name of COMMANDS) {
    await t.test(name, async t => {
      const print = t.mock.method(console, 'log', () => undefined)
      await runHere([name, '--help'])
      const text = print.mock.calls.map(call => call.arguments.join(' ')).join('\n')
      assert.match(text, new RegExp(`^ptq ${name}\\b`))
      assert.match(text.slice(text.indexOf('Examples:')), new RegExp(`ptq ${name}\\b`))
    })
  }
})

// Wrong usage, and the sentence for it.
const MISUSES: readonly (readonly [args: string, sentence: RegExp])[] = [
  ['ls foo://x', /got `foo:\/\/`\. Others are made known by --load FILE, a module that calls registerBackend\('foo'/],
  ['', /Expected a command/],
  ['frob', /Unknown command: frob/],
  ['status', /^ptq: Missing argument: <queue>: expected ptq status <queue>, see ptq status --help\n$/],
  ['status q --region eu-west-1', /Expected --region with a queue of sqs:\/\/ only, got \.\/q/],
  ['cp q r --create-if-missing', /Expected --create-if-missing with a queue of sqs:\/\/ only, got \.\/q and \.\/r/],
  ['staus q', /^ptq: Unknown command: staus\. Did you mean status\? See ptq --help\n$/],
  ['--versoin', /^ptq: Unknown option: --versoin\. Did you mean --version\? See ptq --help\n$/],
  ['status q --frob', /Unknown option: --frob: expected/],
  [
    'poll q --load tasks.mjs --max-attempt 3',
    /^ptq: Unknown option: --max-attempt\. Did you mean --max-attempts\? See ptq poll --help\n$/,
  ],
  ['ls q --limt=3', /Unknown option: --limt\. Did you mean --limit\? See ptq ls --help/],
  ['ls q --tally', /Unknown option: --tally, which belongs to ptq poll: expected/],
  ['ls q --limit -', /Expected --limit to be an integer of 1 or more, got -:/],
  ['poll q --load tasks.mjs --timeout 3 --timeout-sec 3', /Expected --timeout-sec once/],
  ['poll q --load tasks.mjs --grace x', /Expected --grace-sec to be a number of 0 or more, got x/],
  ['poll q --load tasks.mjs --max-memory=x', /Expected --max-memory-mb to be a number of more than 0, got x/],
  ['poll q --load tasks.mjs --timeout x', /Expected --timeout-sec to be a number of more than 0, got x/],
  ['status q r', /Unexpected argument: r/],
  ['status q --interval-sec 0', /Expected --interval-sec to be a number of 0.1 or more, got 0/],
  ['status mem://q', /lives in one process only/],
  ['status redis:q', /Expected \/\/ after the protocol, got redis:q/],
  ['status gopher://q', /Expected a queue's protocol to be one of fq:\/\/, .*got `gopher:\/\/`/],
  ['status fq://q', /write `fq:\/\/\/q` from the root/],
  ['status q --load nowhere.js', /Expected --load to name a file or a package installed here/],
  ['status q --concurrency 1.5', /Expected --concurrency to be an integer of 1 or more, got 1.5/],
  ['poll q', /Missing option: --load/],
  ['poll q --load tasks.mjs --lease-sec x', /Expected --lease-sec to be a number of more than 0, got x/],
  [
    'poll q --load tasks.mjs --processes 0',
    /^ptq: Expected --processes to be an integer of 1 or more, got 0: see ptq poll --help\n$/,
  ],
  ['poll q --load tasks.mjs --parallel some', /Expected --parallel to be an integer of 0 or more, got some/],
  [
    'poll q --load tasks.mjs --parallel 0 --timeout 3',
    /Expected --parallel of 1 or more with --timeout-sec or --max-memory-mb/,
  ],
  [
    'poll q --load tasks.mjs --min-backoff-sec 9 --max-backoff-sec 1',
    /Expected --max-backoff-sec to be at least --min-backoff-sec/,
  ],
  ['poll q --load tasks.mjs --until someday', /Expected --until to be a date/],
  ['poll q --load tasks.mjs --execute-args 7', /Expected --execute-args to be a JSON array, got 7/],
  ['poll q --load tasks.mjs --on-error cry', /Expected --on-error to be one of retry, throw, got cry/],
  ['poll q --load tasks.mjs --dead-letter ./q', /Expected --dead-letter to be another queue/],
  ['insert q', /Missing argument: <file>: expected ptq insert <queue> <file>/],
  ['insert q nowhere.ndjson', /Expected a file that can be read: ENOENT/],
  ['insert q bad.ndjson', /Line 3 of bad.ndjson is no payload: .*got `'frob'`/],
  ['insert q . --delay-sec -1', /Expected --delay-sec to be a number of 0 or more, got -1/],
  ['ls q --state gone', /Expected --state to be one of ready, leased, delayed, failed, got gone/],
  ['ls q --limit 1 --limit 2', /Expected --limit once/],
  ['show q', /Missing argument: <id>: expected ptq show <queue> <id>/],
  ['failures', /expected ptq failures <queue>/],
  ['retry q --match', /Expected a value after --match/],
  ['release', /expected ptq release <queue>/],
  ['rezero q --json', /Unknown option: --json, which belongs to ptq status/],
  ['purge q', /Expected --yes/],
  ['purge q --failed --all', /Expected --(?:failed or --all|all or --failed), got both/],
  ['cp q', /expected ptq cp <source> <destination>/],
  ['mv q q', /Expected two queues, got one: fq:/],
  ['serve', /Missing argument: <queues\.\.>: expected ptq serve <queues\.\.>/],
  ['serve gopher://q', /Expected a queue's protocol to be one of/],
  ['serve q --dead-letter ./q', /Expected --dead-letter to be another queue/],
  ['serve q r --dead-letter d', /Expected --dead-letter with one queue only/],
  ['license x', /Unexpected argument: x/],
]

/** Runs a command in this process: starting one takes a hundred times as long as refusing its arguments. */
function runHere(args: readonly string[]): Promise<void> {
  // Errors quote the arguments of the process.
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...args)
  return runCommandLine(args)
}

test('misuse gives exit code 2 and one sentence on stderr, and creates nothing', t =>
  inFolder(async folder => {
    writeFileSync(join(folder, 'tasks.mjs'), '')
    writeFileSync(join(folder, 'bad.ndjson'), `${payloadLines(2)}["frob"]\n`)
    const cwd = process.cwd()
    t.after(() => process.chdir(cwd))
    process.chdir(folder)
    for (const [args, sentence] of MISUSES) {
      await t.test(`ptq ${args}`, () =>
        assert.rejects(runHere(args.split(' ').filter(Boolean)), error => {
          const { exitCode, lines } = endingError(error)
          assert.equal(exitCode, 2)
          assert.match(`${lines.join('\n')}\n`, /^ptq: [^\n]+\n$/)
          assert.match(`${lines.join('\n')}\n`, sentence)
          return true
        }),
      )
    }
    await t.test('as a process', async () => {
      const { code, stdout, stderr } = await runProcess(['staus', 'q'])
      assert.deepEqual(
        [code, stdout, stderr],
        [2, '', 'ptq: Unknown command: staus. Did you mean status? See ptq --help\n'],
      )
    })
    assert.equal(existsSync(join(folder, 'q')), false)
  }))

test('a path without a queue is a failure, and nothing is created', t =>
  inFolder(async folder => {
    const cwd = process.cwd()
    t.after(() => process.chdir(cwd))
    process.chdir(folder)
    for (const words of [
      'status q',
      'ls q',
      'failures q',
      'retry q',
      'release q',
      'rezero q',
      'purge q --yes',
      'show q id',
      'cp q copy',
      'mv q copy',
    ]) {
      await t.test(words, () =>
        assert.rejects(runHere(words.split(' ')), error => {
          const { exitCode, lines } = endingError(error)
          assert.match(
            lines.join('\n'),
            /^ptq: Expected a queue at .*q, found [^\n]+; the first insert makes a queue\.?$/,
          )
          assert.equal(exitCode, 1)
          return true
        }),
      )
    }
    for (const name of ['q', 'copy']) assert.equal(existsSync(join(folder, name)), false)
  }))

test('a folder that contains a queue is not taken for the queue, and nothing is written into it', () =>
  inFolder(async folder => {
    assert.equal((await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(1) })).code, 0)
    const commands = [
      'status .',
      'insert . -',
      'poll . --load ./tasks.mjs --until-empty',
      'mv . other',
      'mv queue .',
      'purge . --yes',
    ]
    writeFileSync(join(folder, 'tasks.mjs'), '')
    assert.equal((await runCli(['insert', 'around/queue', '-'], { cwd: folder, input: payloadLines(1) })).code, 0)
    for (const words of commands) {
      const { code, stdout, stderr } = await runCli(words.split(' '), { cwd: folder, input: payloadLines(1) })
      assert.match(
        stderr,
        /^ptq: Expected a queue at .*, found a folder that has only `queue` .* Name the queue in it: \S+\/queue\n$/,
        words,
      )
      assert.deepEqual([code, stdout], [1, ''], words)
    }
    assert.deepEqual(readdirSync(folder).sort(), ['around', 'queue', 'tasks.mjs'])
    const { stderr } = await runCli(['status', 'around'], { cwd: folder })
    assert.match(stderr, /Name the queue in it: \S+\/around\/queue\n$/)
    assert.deepEqual(readdirSync(join(folder, 'around')), ['queue'])
  }))

test('PTQ_DEBUG=1 prints the stack of an error', async () => {
  const { code, stderr } = await runCli(['status', '/nowhere/at/all'], { env: { PTQ_DEBUG: '1' } })
  assert.equal(code, 1)
  assert.match(stderr, /^ptq: Expected a queue at \/nowhere\/at\/all[^\n]*\nError: [^\n]*\n {4}at /)
})

test('version, license, completion', async () => {
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
  assert.equal((await runCli(['--version'])).stdout, `${version}\n`)
  assert.equal((await runCli(['license'])).stdout, readFileSync(join(projectRoot, 'LICENSE'), 'utf8'))
  const { code, stdout } = await runCli(['completion'], { env: { SHELL: '/bin/bash' } })
  assert.equal(code, 0)
  assert.match(stdout, /complete .* ptq/)
  const completed = await runCli(['--get-yargs-completions', 'ptq', 're'])
  assert.deepEqual(completed.stdout.match(/^re\w+/gm)?.sort(), ['release', 'results', 'retry', 'rezero'])
  const options = await runCli(['--get-yargs-completions', 'ptq', 'status', 'q', '-'], { env: { SHELL: '/bin/bash' } })
  assert.match(options.stdout, /^--watch\n-w$/m)
  assert.doesNotMatch(options.stdout, /^--\w$/m)
  const units = await runCli(['--get-yargs-completions', 'ptq', 'poll', 'q', '-'], { env: { SHELL: '/bin/bash' } })
  assert.match(units.stdout, /^--timeout-sec$/m)
  assert.doesNotMatch(units.stdout, /^--(?:timeout|grace|max-memory)$/m)
})

test('help of a command shows its own options first, numbers as numbers, and examples on one line at 80 columns', async () => {
  const { stdout } = await runCli(['poll', '--help'])
  const [own = Number.NaN, queue = Number.NaN, other = Number.NaN] = [
    'Options:',
    'Queue options:',
    'Other options:',
  ].map(heading => stdout.indexOf(`\n${heading}`))
  assert.ok(0 < own && own < queue && queue < other)
  // The former spellings are taken, not shown.
  assert.doesNotMatch(stdout, /--(?:timeout|grace|max-memory)\b(?!-)/)
  assert.match(stdout, /--lease-sec [^-]*\[number\]/)
  // Also where it is read through a pipe.
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
  const examples = stdout.slice(stdout.indexOf('Examples:')).trimEnd().split('\n').slice(1)
  for (const line of examples) assert.match(line, /^ {2}(?:ptq|#|echo) .{1,72}$/)
})

test('an argument after -- is a queue, also if it begins with a dash', () =>
  inFolder(async folder => {
    const inserted = await runCli(['insert', '--', '-q', '-'], { cwd: folder, input: payloadLines(1) })
    assert.deepEqual([inserted.stdout, inserted.code], [`Inserted 1 task into fq://${folder}/-q\n`, 0])
    assert.match((await runCli(['status', '--', '-q'], { cwd: folder })).stdout, /^Inserted: 1$/m)
  }))

test('a folder is named by a bare word, a path or a URL; a closed pipe ends the output quietly', () =>
  inFolder(async folder => {
    const inserted = await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(3000) })
    assert.deepEqual([inserted.code, inserted.stderr], [0, ''])
    assert.equal(inserted.stdout, `Inserted 3000 tasks into fq://${folder}/queue\n`)
    for (const name of ['queue', './queue', `${folder}/queue`, `fq://${folder}/queue`]) {
      assert.match((await runCli(['status', name], { cwd: folder })).stdout, /^Inserted: 3000$/m)
    }
    const ls = startCli(['ls', 'queue'], { cwd: folder })
    const end = ended(ls)
    await once(ls.stdout, 'data')
    ls.stdout.destroy()
    const { code, stderr } = await end
    assert.deepEqual([code, stderr], [0, ''])
  }))

test('commands on a file queue do not load the AWS SDK', () =>
  inFolder(async folder => {
    const hooks =
      'export async function resolve(s, c, next) { if (s.startsWith("@aws-sdk")) throw new Error("loaded " + s); return next(s, c) }'
    const register = `import { register } from "node:module"; register("data:text/javascript,${encodeURIComponent(hooks)}")`
    const env = { NODE_OPTIONS: `--no-deprecation --import=data:text/javascript,${encodeURIComponent(register)}` }
    const { code, stderr } = await runProcess(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(1), env })
    assert.deepEqual([code, stderr], [0, ''])
    const sqs = await runProcess(['status', 'sqs://queue'], { env })
    assert.equal(sqs.code, 1)
    assert.match(sqs.stderr, /need the package @aws-sdk/)
  }))

test('a slow filesystem gets one thread for each call in flight, or as many as UV_THREADPOOL_SIZE says', t =>
  inFolder(async folder => {
    if (process.platform !== 'linux') return t.skip('only Linux tells the threads of a process')
    // Everything that starts the libuv pool has run once a module is loaded and has read a file.
    const count = `import { readdirSync } from 'node:fs'; import { stat } from 'node:fs/promises'
      await stat('.'); console.error(readdirSync('/proc/self/task').length)`
    writeFileSync(join(folder, 'count.mjs'), count)
    const threads = async (size: Record<string, string>) => {
      const args = ['status', 'q', '--load', './count.mjs']
      return Number.parseInt((await runProcess(args, { cwd: folder, env: size })).stderr, 10)
    }
    const one = await threads({ UV_THREADPOOL_SIZE: '1' })
    assert.equal((await threads({ UV_THREADPOOL_SIZE: '5' })) - one, 4)
    assert.equal((await threads({})) - one, 39)
  }))

test("an option that an error of the library names is its flag here, and a queue's name stays", () => {
  const words = (message: string) => endingError(new Error(message)).lines.join('\n').replace('ptq: ', '')
  assert.equal(words('name a queue that does as `results`, here'), 'name a queue that does as --results, here')
  assert.equal(words('pass that of its workers as `logFolder`'), 'pass that of its workers as --log-folder')
  assert.equal(words('purge again, or with `native`'), 'purge again, or with --native')
  assert.equal(words('Expected `match` to be a text'), 'Expected --match to be a text')
  assert.equal(words('No queue `results` in eu-west-1'), 'No queue `results` in eu-west-1')
})
