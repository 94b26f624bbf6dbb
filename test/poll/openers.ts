// The openers of the backends under test.
import type { BackendOpener } from 'ptq'
import { opener as fq } from '#ptq/backends/fq/index.js'
import { opener as mem } from '#ptq/backends/mem/index.js'

export function openerOf(kind: 'mem' | 'fq'): BackendOpener {
  return kind === 'fq' ? fq : mem
}
