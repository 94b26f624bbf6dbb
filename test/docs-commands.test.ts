// Every command in the shell blocks of the README and of docs/ exists, with the options that are given there.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inWordsOfCommands } from '#ptq/cli/wording.js'
import { runCli } from './cli/run-cli.js'

const root = join(import.meta.dirname, '../..')
const helps = new Map<string, string>()

async function helpOf(command: string): Promise<string> {
  const known = helps.get(command)
  if (known !== undefined) return known
  const { stdout, code } = await runCli([...(command === '' ? [] : [command]), '--help'])
  assert.equal(code, 0)
  helps.set(command, stdout)
  return stdout
}

/** Commands of all blocks, one each: comments and what is piped into them are cut off. */
function commands(): { page: string; command: string }[] {
  const pages = ['README.md', ...readdirSync(join(root, 'docs')).map(name => `docs/${name}`)]
  return pages
    .filter(page => page.endsWith('.md'))
    .flatMap(page =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/^ *```sh\n(.*?)^ *```/gms)].flatMap(([, block = '']) =>
        block
          .replaceAll('\\\n', ' ')
          .split('\n')
          .map(line => line.replace(/(?:^|\s)#.*$/, ''))
          .flatMap(line => line.split(/&&|\||;/))
          .map(command => ({ page, command: command.trim() }))
          .filter(({ command }) => command !== ''),
      ),
    )
}

test('every ptq command, option, script and file in the pages exists', async () => {
  const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts
  let checked = 0
  for (const { page, command } of commands()) {
    const where = `${page}: ${command}`
    const [, name, rest = ''] = /(?:^|\s)ptq (--?[\w-]+|[a-z]+)(.*)$/.exec(command) ?? []
    if (name !== undefined) {
      const program = await helpOf('')
      if (name.startsWith('-')) assert.match(program, new RegExp(`\\s${name}\\b`), where)
      else {
        assert.match(program, new RegExp(`^ {2}ptq ${name}\\b`, 'm'), where)
        // Words after `--`, or in quotes, belong to a command of the reader.
        const [own = ''] = rest.split(/ -- | '/)
        for (const [, option] of own.matchAll(/(?:^|\s)(--?[a-z][a-z-]*)/g)) {
          assert.match(await helpOf(name), new RegExp(`(?:^|[\\s,])${option}\\b`, 'm'), where)
        }
      }
      checked++
    }
    const [, script] = /^npm run (?:-s )?([\w-]+)/.exec(command) ?? []
    if (script !== undefined) {
      assert.ok(script in scripts, where)
      checked++
    }
    const [, file] = /\b(examples\/[\w/.-]+)/.exec(command) ?? []
    if (file !== undefined) assert.ok(existsSync(join(root, file)), where)
  }
  assert.ok(checked > 15, `${checked} commands were found`)
})

test('the page on the command line has each command with each of its options', async () => {
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')
  const names = [...(await helpOf('')).matchAll(/^ {2}ptq ([a-z]+)/gm)].map(([, name = '']) => name)
  assert.ok(names.length > 12)
  for (const name of new Set(names)) {
    assert.match(page, new RegExp(`\\b${name}\\b`))
    if (name === 'completion') continue
    for (const [option] of (await helpOf(name)).matchAll(/--[a-z][a-z-]+/g))
      assert.ok(page.includes(option), `${name} ${option}`)
  }
})

test('each option of the library that has a flag is named by it in errors', async () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.startsWith('cli'))
    .map(name => readFileSync(join(root, 'src', name), 'utf8'))
  const pages = await Promise.all(['poll', 'insert', 'log', 'purge', 'status'].map(helpOf))
  const flags = pages.flatMap(page => [...page.matchAll(/--[a-z-]+/g)])
  const names = new Map(flags.map(([flag]) => [flag, optionOf(flag)]))
  const known = [...names].filter(
    ([, name]) => /[A-Z]/.test(name) && sources.some(text => new RegExp(`\\b${name}\\?:`).test(text)),
  )
  assert.ok(known.length > 10, `${known.length} options were found`)
  const unnamed = known.filter(([flag, name]) => inWordsOfCommands(`with \`${name}\``) !== `with ${flag}`)
  assert.deepEqual(unnamed, [])
})

/** E.g. `leaseSeconds` of `--lease-sec`. */
function optionOf(flag: string): string {
  const plural = flag.replace(/-exception$/, '-exceptions').replace(/-sec$/, '-seconds')
  return plural.replace('--', '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
