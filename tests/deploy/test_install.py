"""The ERPs' set-up."""

from deploy.local.tryton import install

ENTROPY = 0.75  # of a password's characters, the share that must differ; Tryton's own least


def test_every_password_is_one_that_the_erp_takes() -> None:
    for _ in range(500):
        made = install.password()
        assert len(made) == 24
        assert len(set(made)) / len(made) >= ENTROPY
