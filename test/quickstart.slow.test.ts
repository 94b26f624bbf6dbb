import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

/** A new project with the example in it, so that the list of this project isn't overwritten. */
function project(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'ptq-quickstart-'))
  cpSync(join(ROOT, 'build/examples/quickstart'), join(root, 'build/examples/quickstart'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(ROOT, join(root, 'node_modules/ptq'))
  symlinkSync(join(ROOT, 'node_modules/fauxqs'), join(root, 'node_modules/fauxqs'))
  t.after(() => rmSync(root, { recursive: true }))
  return root
}

const quickstart = (root: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(root, 'build/examples/quickstart/main.js'), ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
    // The AWS SDK has one about versions of Node to come.
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  })

const readList = (root: string) => readFileSync(join(root, 'checksums.sha256'), 'utf8')
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

/** Checks the list with sha256sum, if it is installed. */
function checkWithSha256sum(root: string, t: TestContext): void {
  if (spawnSync('sha256sum', ['--version']).error !== undefined) {
    t.diagnostic('no sha256sum here: the list was checked by node:crypto only')
    return
  }
  const { stdout, stderr, status } = spawnSync('sha256sum', ['--strict', '-c', 'checksums.sha256'], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stdout + stderr)
}

describe('the quick start', () => {
  it("hashes the project's node_modules when no folder is named", t => {
    const root = project(t)
    cpSync(join(ROOT, 'node_modules/comlink'), join(root, 'node_modules/comlink'), { recursive: true })
    const { stdout, stderr, status } = quickstart(root)
    assert.equal(stderr, '')
    assert.equal(status, 0)
    const lines = readList(root).trimEnd().split('\n')
    assert.match(
      stdout,
      new RegExp(`^${lines.length} of ${lines.length} files are in .*checksums.sha256; there, sha256sum`),
    )
    assert.match(stdout, /\n\d+ files\/s on all cores, \d+ in one thread \(page cache warm for both\)\n$/)
    assert.ok(lines.length > 10 && lines.some(line => line.endsWith('  ./node_modules/comlink/package.json')))
    for (const line of lines) {
      const [hash, name = ''] = line.split('  ')
      // The link to ptq itself was not followed.
      assert.ok(name.startsWith('./node_modules/comlink/'), line)
      assert.equal(hash, sha256(join(root, name)))
    }
    checkWithSha256sum(root, t)
  })

  it('lists files of any name and size, in the project and outside, without links and the list itself', t => {
    const root = project(t)
    const outside = mkdtempSync(join(tmpdir(), 'ptq-outside-'))
    t.after(() => rmSync(outside, { recursive: true }))
    const names = [
      'empty',
      ' lead',
      'line\nbreak',
      'back\\slash',
      'return\r',
      'both\\n\n',
      'čau 🎉',
      '-',
      '..dots',
      'deep/er/file',
    ]
    for (const folder of [join(root, 'data'), outside]) {
      mkdirSync(join(folder, 'deep/er'), { recursive: true })
      for (const name of names) writeFileSync(join(folder, name), name === 'empty' ? '' : name)
      writeFileSync(join(folder, 'large'), Buffer.alloc(3 * 2 ** 20 + 1, 'large'))
      symlinkSync(join(root, 'package.json'), join(folder, 'link'))
    }
    for (const folder of ['data', outside]) {
      assert.equal(quickstart(root, folder).status, 0)
      assert.equal(readList(root).trimEnd().split('\n').length, names.length + 1)
      assert.ok(readList(root).includes(`  ${folder === 'data' ? './data' : outside}/deep/er/file\n`))
      checkWithSha256sum(root, t)
    }
    assert.equal(quickstart(root, '.').status, 0)
    assert.doesNotMatch(readList(root), /checksums\.sha256/)
    assert.match(
      readList(root),
      new RegExp(`^\\\\${sha256(join(root, 'data/line\nbreak'))} {2}\\./data/line\\\\nbreak$`, 'm'),
    )
    checkWithSha256sum(root, t)
  })

  it('hashes the rest if a file cannot be read, names that file, and exits with 1', t => {
    const root = project(t)
    mkdirSync(join(root, 'data'))
    writeFileSync(join(root, 'data/good'), 'good')
    // Not UTF-8: Node returns a name that no file has, for any user.
    writeFileSync(Buffer.concat([Buffer.from(join(root, 'data/bad')), Buffer.of(0xff)]), 'bad')
    const { stdout, stderr, status } = quickstart(root, 'data')
    assert.equal(status, 1)
    assert.match(stdout, /^1 of 2 files/)
    assert.match(stderr, /data\/bad\ufffd: .*ENOENT/)
    assert.equal(readList(root), `${sha256(join(root, 'data/good'))}  ./data/good\n`)
  })

  for (const [queue, shown] of [
    ['sqs', /^sqs:\/\/quickstart \(us-east-1, http:\/\/127\.0\.0\.1:\d+\)/],
    ['fq', /^fq:\/\/\/.*ptq-quickstart-/],
    ['./queue', /^fq:\/\/\/.*\/queue/],
  ] as const) {
    it(`--queue ${queue}: writes the same list through a queue, with the file that cannot be read`, t => {
      const root = project(t)
      mkdirSync(join(root, 'data'))
      for (let n = 0; n < 30; n++) writeFileSync(join(root, `data/čau ${n}`), `🎉 ${n}`)
      writeFileSync(Buffer.concat([Buffer.from(join(root, 'data/bad')), Buffer.of(0xff)]), 'bad')
      const { stdout, stderr, status } = quickstart(root, '--queue', queue, 'data')
      assert.match(stderr, /^\S+data\/bad\ufffd: Error: ENOENT[^\n]*\n$/)
      assert.equal(status, 1)
      const [files, speed = ''] = stdout.trimEnd().split('\n')
      assert.match(files ?? '', /^30 of 31 files/)
      assert.match(speed, shown)
      assert.match(speed, /: \d+ tasks\/s inserted, \d+ files\/s hashed on all cores$/)
      const byQueue = readList(root)
      quickstart(root, 'data')
      assert.equal(byQueue, readList(root))
      checkWithSha256sum(root, t)
    })
  }

  it('reports an invalid option or queue in one sentence', t => {
    const root = project(t)
    mkdirSync(join(root, 'data'))
    writeFileSync(join(root, 'data/file'), 'file')
    for (const [args, expected] of [
      [['--what', 'data'], /^Unknown option '--what'/],
      [['--queue', 'bare', 'data'], /^Expected `url` to be [^\n]*bare/],
      [['--queue', 'sqs://no such queue', 'data'], /^Expected `url` to be the name of an SQS queue/],
    ] as const) {
      const { stdout, stderr, status } = quickstart(root, ...args)
      assert.equal(status, 1)
      assert.equal(stdout, '')
      assert.match(stderr, expected)
      assert.doesNotMatch(stderr, /\n./)
    }
  })

  it('reports in one sentence that there is nothing to hash, and exits with 1', t => {
    const root = project(t)
    mkdirSync(join(root, 'empty/inside'), { recursive: true })
    for (const folder of ['empty', 'missing', 'package.json']) {
      const { stdout, stderr, status } = quickstart(root, folder)
      assert.equal(status, 1)
      assert.equal(stdout, '')
      assert.equal(
        stderr,
        `Expected a folder with files in it, got ${join(root, folder)}: npm run quickstart -- folder\n`,
      )
    }
    assert.ok(!existsSync(join(root, 'checksums.sha256')))
  })
})
