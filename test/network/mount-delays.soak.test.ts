// Measures how late one mount of a network filesystem shows what another has changed.
import { existsSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '#ptq/backends/fq/file-system.js'
import { namesIn } from '../fq/messages.js'
import { networkTest, untilSeen } from './mounts.js'

networkTest('delay until one mount shows the changes of the other', async ({ here, there }, t) => {
  const [mine, theirs] = [join(here, 'task'), join(there, 'task')]
  const measure = async (what: string, act: () => void, isSeen: () => boolean) => {
    act()
    t.diagnostic(`${what}: after ${(await untilSeen(isSeen, what)).toFixed(0)} ms`)
  }
  const listed = (name: string) => namesIn(there, '.').includes(name)
  namesIn(there, '.')
  await measure(
    'a new name in a listing',
    () => writeFileSync(mine, '1'),
    () => listed('task'),
  )
  await measure(
    'a text that was written over',
    () => writeFileSync(mine, '22'),
    () => readFileSync(theirs, 'utf8') === '22',
  )
  const replace = () => {
    writeFileSync(`${mine}.new`, '333')
    renameSync(`${mine}.new`, mine)
  }
  await measure('a file that was replaced', replace, () => {
    try {
      return readFileSync(theirs, 'utf8') === '333'
    } catch (error) {
      t.diagnostic(`  meanwhile ${errorCode(error)}`)
      return false
    }
  })
  statSync(theirs)
  await measure(
    'a rename, by the old name',
    () => renameSync(mine, join(here, 'held')),
    () => !existsSync(theirs),
  )
  await measure(
    'a removal, in a listing',
    () => unlinkSync(join(here, 'held')),
    () => !listed('held'),
  )
})
