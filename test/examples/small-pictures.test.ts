// The script for small pictures as a process, over real pictures. sharp does here what ImageMagick's convert is asked for: not every
// machine that runs tests has that.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import sharp from 'sharp'
import { inFolder, mainPath, projectRoot } from '../cli/run-cli.js'

const script = join(projectRoot, 'examples/commands/small-pictures.sh')

const convert = (log: string) => `#!${process.execPath}
const [from, , size, to] = process.argv.slice(2)
require('node:fs').appendFileSync(${JSON.stringify(log)}, from + '\\n')
const [width, height] = size.split(/[x>]/).map(Number)
require(${JSON.stringify(join(projectRoot, 'node_modules/sharp'))})(from)
  .resize({ width, height, fit: 'inside', withoutEnlargement: true })
  .toFile(to)
  .catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
`

it('the script makes a small copy of each picture; once more, only of those that are missing', () =>
  inFolder(async folder => {
    const bin = join(folder, 'bin')
    const pictures = join(folder, 'my pictures')
    const log = join(folder, 'converted')
    mkdirSync(bin)
    mkdirSync(join(pictures, 'sub'), { recursive: true })
    writeFileSync(join(bin, 'ptq'), `#!/bin/sh\nexec '${process.execPath}' '${mainPath}' "$@"\n`, { mode: 0o755 })
    writeFileSync(join(bin, 'convert'), convert(log), { mode: 0o755 })
    const picture = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: '#c40' } })
    await picture(300, 200).toFile(join(pictures, "it's wide.png"))
    await picture(30, 20).toFile(join(pictures, 'sub/little.jpg'))
    writeFileSync(join(pictures, 'broken.jpg'), 'no picture')
    const run = () => {
      const env = {
        ...process.env,
        HOME: folder,
        XDG_STATE_HOME: join(folder, 'state'),
        PATH: `${bin}:${process.env.PATH}`,
      }
      const { status, stderr } = spawnSync(script, [pictures, '60'], { encoding: 'utf8', timeout: 120_000, env })
      return { status, stderr }
    }
    const first = run()
    assert.equal(first.status, 1)
    assert.match(first.stderr, /exit code 1: convert .*broken\.jpg/)
    assert.match(first.stderr, /1 of 3 commands failed/)
    const sizeOf = async (name: string) => {
      const { width, height } = await sharp(join(pictures, name)).metadata()
      return [width, height]
    }
    assert.deepEqual(await sizeOf("it's wide.small.jpg"), [60, 40])
    assert.deepEqual(await sizeOf('sub/little.small.jpg'), [30, 20])
    assert.equal(readFileSync(log, 'utf8').trim().split('\n').length, 3)

    await picture(100, 100).toFile(join(pictures, 'broken.jpg'))
    appendFileSync(log, '---\n')
    assert.deepEqual(run(), { status: 0, stderr: '' })
    assert.equal(readFileSync(log, 'utf8').split('---\n')[1], `${join(pictures, 'broken.jpg')}\n`)
    assert.deepEqual(
      readdirSync(pictures)
        .filter(name => name.includes('.small.'))
        .sort(),
      ['broken.small.jpg', "it's wide.small.jpg"],
    )
  }))
