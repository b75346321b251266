"""The data sets that can be fetched: their files, where they come from, on which terms."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class File:
    """One published file: its name, its size in bytes, its md5."""

    name: str
    size: int
    md5: str


@dataclass(frozen=True)
class Source:
    """Where a data set is published, and what.

    The files lie under the address `base`. Where the one file is an archive, `unpacked` is the
    folder in it, and `members` the size in bytes of each file there that is wanted, None for a
    text that training can do without. `layout`: how pictures get to folders of classes, see
    vitnp.data.oxford.
    """

    title: str
    base: str
    licence: str
    cite: str
    files: tuple[File, ...]
    unpacked: str | None = None
    members: dict[str, int | None] = field(default_factory=dict)
    layout: str | None = None


KRIZHEVSKY = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"

SOURCES = {
    "mnist": Source(
        title="MNIST, 60,000 + 10,000 handwritten digits of 28 x 28 pixels, by Y. LeCun, "
              "C. Cortes and C. J. C. Burges",
        base="https://ossci-datasets.s3.amazonaws.com/mnist/",
        licence="CC BY-SA 3.0, as commonly stated",
        cite="LeCun, Bottou, Bengio, Haffner, Gradient-Based Learning Applied to Document "
             "Recognition, Proceedings of the IEEE, 1998",
        files=(
            File("train-images-idx3-ubyte.gz", 9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            File("train-labels-idx1-ubyte.gz", 28881, "d53e105ee54ea40749a09fcbcd1e9432"),
            File("t10k-images-idx3-ubyte.gz", 1648877, "9fb629c4189551a2d022fa330f9573f3"),
            File("t10k-labels-idx1-ubyte.gz", 4542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    "fashion-mnist": Source(
        title="Fashion-MNIST, 60,000 + 10,000 pictures of clothes of 28 x 28 pixels, by "
              "Zalando SE",
        base="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        licence="MIT, Copyright 2017 Zalando SE",
        cite="Xiao, Rasul, Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking "
             "Machine Learning Algorithms, arXiv:1708.07747, 2017",
        files=(
            File("train-images-idx3-ubyte.gz", 26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            File("train-labels-idx1-ubyte.gz", 29515, "25c81989df183df01b3e8a0aad5dffbe"),
            File("t10k-images-idx3-ubyte.gz", 4422102, "bef4ecab320f06d8554ea6380940ec79"),
            File("t10k-labels-idx1-ubyte.gz", 5148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    ),
    "cifar10": Source(
        title="CIFAR-10, 50,000 + 10,000 colour pictures of 32 x 32 pixels in 10 classes, by "
              "A. Krizhevsky, V. Nair and G. Hinton",
        base="https://www.cs.toronto.edu/~kriz/",
        licence="no formal licence; the authors ask to be cited",
        cite=KRIZHEVSKY,
        files=(File("cifar-10-binary.tar.gz", 170052171, "c32a1d4ab5d03f1284b67883e8d87530"),),
        unpacked="cifar-10-batches-bin",
        members={"data_batch_1.bin": 30730000, "data_batch_2.bin": 30730000,
                 "data_batch_3.bin": 30730000, "data_batch_4.bin": 30730000,
                 "data_batch_5.bin": 30730000, "test_batch.bin": 30730000,
                 "batches.meta.txt": None},
    ),
    "cifar100": Source(
        title="CIFAR-100, 50,000 + 10,000 colour pictures of 32 x 32 pixels in 100 classes, by "
              "A. Krizhevsky, V. Nair and G. Hinton",
        base="https://www.cs.toronto.edu/~kriz/",
        licence="no formal licence; the authors ask to be cited",
        cite=KRIZHEVSKY,
        files=(File("cifar-100-binary.tar.gz", 168513733, "03b5dce01913d631647c71ecec9e9cb8"),),
        unpacked="cifar-100-binary",
        members={"train.bin": 153700000, "test.bin": 30740000,
                 "coarse_label_names.txt": None, "fine_label_names.txt": None},
    ),
    "oxford-pets": Source(
        title="Oxford-IIIT Pet, 3,680 + 3,669 photographs of 37 breeds of cats and dogs, by "
              "O. M. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar",
        base="https://www.robots.ox.ac.uk/~vgg/data/pets/data/",
        licence="CC BY-SA 4.0",
        cite="Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs, CVPR 2012",
        files=(File("annotations.tar.gz", 19173078, "95a8c909bbe2e81eed6a22bccdf3f68f"),
               File("images.tar.gz", 791918971, "5c4f3ee8e5d25df40f4fd59a7f44e54c")),
        layout="pets",
    ),
    "flowers-102": Source(
        title="Oxford Flowers-102, 1,020 + 1,020 (validation) + 6,149 photographs of 102 kinds of "
              "flowers, by M.-E. Nilsback and A. Zisserman",
        base="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        licence="none is stated; the authors ask to be cited",
        cite="Nilsback, Zisserman, Automated Flower Classification over a Large Number of Classes, "
             "ICVGIP 2008",
        files=(File("imagelabels.mat", 502, "e0620be6f572b9609742df49c70aed4d"),
               File("setid.mat", 14989, "a5357ecc9cb78c4bef273ce3793fc85c"),
               File("102flowers.tgz", 344862509, "52808999861908f626f3c1f4e79d11fa")),
        layout="flowers",
    ),
}


def default_dir(name):
    """Return the folder that a data set is fetched to, and read from, where none is named."""
    return Path("data") / name


def describe(source):
    """Return lines that say what a Source is, where it comes from and on which terms."""
    size = sum(file.size for file in source.files)
    return [source.title, f"from {source.base} ({amount(size)} to load)",
            f"licence: {source.licence}", f"cite: {source.cite}"]


def amount(size):
    """Return a number of bytes in words, such as "9.9 MB"."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
