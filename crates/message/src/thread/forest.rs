//! Parents and children with links that come and go, and the question whether a link would make a
//! loop in logarithmic time: a link-cut tree (Sleator and Tarjan 1983) without turning around.

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Trees over nodes numbered from 0.
#[derive(Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
}

struct Node {
    /// The real parent.
    parent: u32,
    /// Whether it ever had children: without any, no link to a parent can make a loop.
    has_children: bool,
    /// Splay tree of the path this node is on, upper nodes to the left.
    left: u32,
    right: u32,
    /// Parent in the splay tree; at its root the node above the path.
    up: u32,
}

impl Forest {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { nodes: Vec::with_capacity(count) }
    }

    /// A new node, alone.
    pub(super) fn add(&mut self) -> u32 {
        let number = self.nodes.len() as u32;
        let node = Node { parent: NONE, has_children: false, left: NONE, right: NONE, up: NONE };
        self.nodes.push(node);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn parent(&self, node: u32) -> Option<u32> {
        Some(self.node(node).parent).filter(|&parent| parent != NONE)
    }

    /// Makes `parent` that of `child`, which has none, unless that would make a loop.
    pub(super) fn link(&mut self, child: u32, parent: u32) {
        if child == parent || (self.node(child).has_children && self.root(parent) == child) {
            return;
        }
        self.access(child);
        self.at(child).up = parent;
        self.at(child).parent = parent;
        self.at(parent).has_children = true;
    }

    /// Takes a node with all below it from its parent.
    pub(super) fn cut(&mut self, child: u32) {
        if self.node(child).parent == NONE {
            return;
        }
        self.access(child);
        let above = std::mem::replace(&mut self.at(child).left, NONE);
        self.at(above).up = NONE;
        self.at(child).parent = NONE;
    }

    /// The uppermost node above `node`, or itself.
    fn root(&mut self, node: u32) -> u32 {
        self.access(node);
        let mut top = node;
        while self.node(top).left != NONE {
            top = self.node(top).left;
        }
        self.splay(top);
        top
    }

    /// Makes the path from the root down to `node` one splay tree with `node` at its top.
    fn access(&mut self, node: u32) {
        self.splay(node);
        self.at(node).right = NONE;
        loop {
            let above = self.node(node).up;
            if above == NONE {
                return;
            }
            self.splay(above);
            self.at(above).right = node;
            self.splay(node);
        }
    }

    fn splay(&mut self, node: u32) {
        while let Some(up) = self.splay_parent(node) {
            if let Some(above) = self.splay_parent(up) {
                let same_side = (self.node(above).left == up) == (self.node(up).left == node);
                self.rotate(if same_side { up } else { node });
            }
            self.rotate(node);
        }
    }

    /// Exchanges a node with the one above it in its splay tree, which there is.
    fn rotate(&mut self, node: u32) {
        let up = self.node(node).up;
        let above = self.node(up).up;
        if let Some(above) = self.splay_parent(up) {
            if self.node(above).left == up {
                self.at(above).left = node;
            } else {
                self.at(above).right = node;
            }
        }
        let moved = if self.node(up).left == node {
            let moved = std::mem::replace(&mut self.at(node).right, up);
            self.at(up).left = moved;
            moved
        } else {
            let moved = std::mem::replace(&mut self.at(node).left, up);
            self.at(up).right = moved;
            moved
        };
        if moved != NONE {
            self.at(moved).up = up;
        }
        self.at(up).up = node;
        self.at(node).up = above;
    }

    fn splay_parent(&self, node: u32) -> Option<u32> {
        let up = self.node(node).up;
        let inside = up != NONE && (self.node(up).left == node || self.node(up).right == node);
        inside.then_some(up)
    }

    fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    fn at(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[number as usize]
    }
}
