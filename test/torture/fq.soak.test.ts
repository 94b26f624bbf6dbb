import { test } from 'node:test'
import { fileFixture } from './fixtures.js'
import { shortTorture } from './short-torture.js'

test('half a minute of kills on file queues loses nothing, and each duplicate run is explained', t =>
  shortTorture(t, (folder, _seed, elsewhere) => fileFixture([folder], elsewhere)))

test('half a minute of kills on file queues with tasks in packs loses nothing, and each duplicate run is explained', t =>
  shortTorture(t, (folder, _seed, elsewhere) => fileFixture([folder], elsewhere, { pack: 10 })))
