/**
 * The views, in the order of the rail. A view is a file of `views/` whose default export is a component; it is loaded
 * when it is first opened.
 * @type {{path: string, title: string, icon: string, load: () => Promise<{default: import('preact').ComponentType}>}[]}
 */
export const VIEWS = [
  { path: '/', title: 'Try', icon: 'search', load: () => import('./views/try.js') },
  { path: '/person', title: 'Person', icon: 'person', load: () => import('./views/person.js') },
  { path: '/map', title: 'Map', icon: 'map', load: () => import('./views/map.js') },
  { path: '/catalogue', title: 'Catalogue', icon: 'catalogue', load: () => import('./views/catalogue.js') },
  { path: '/learning', title: 'Learning', icon: 'learning', load: () => import('./views/learning.js') },
  { path: '/live', title: 'Live', icon: 'live', load: () => import('./views/live.js') },
];
